"""Only what the operator limits is metered."""

import pytest

from serve_app.config import LimitsConfig
from serve_app.limits.meters import Meter, amounts_of, limits_of


@pytest.mark.parametrize(
    ("config", "limits"),
    [
        (LimitsConfig(), {}),
        (LimitsConfig(requests_per_minute=60), {Meter.REQUESTS: 60}),
        (
            LimitsConfig(images_per_minute=9, max_concurrent_requests=2),
            {Meter.IMAGES: 9, Meter.CONCURRENT_REQUESTS: 2},
        ),
    ],
)
def test_what_is_not_limited_has_no_meter(config: LimitsConfig, limits: dict[Meter, int]) -> None:
    assert limits_of(config) == limits


def test_a_request_counts_once_and_its_images_each() -> None:
    assert amounts_of(4) == {Meter.REQUESTS: 1, Meter.IMAGES: 4, Meter.CONCURRENT_REQUESTS: 1}
