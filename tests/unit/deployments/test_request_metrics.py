"""Sizes are counted by class, for there are too many of them."""

import pytest

from serve_app.deployments.request_metrics import size_class
from serve_app.messages import Size


@pytest.mark.parametrize(
    ("size", "named"),
    [
        (Size(64, 64), "small"),
        (Size(512, 512), "small"),
        (Size(513, 512), "medium"),
        (Size(1024, 1024), "medium"),
        (Size(1025, 1024), "large"),
        (Size(2048, 2048), "large"),
    ],
)
def test_classes_end_at_512_and_1024(size: Size, named: str) -> None:
    assert size_class(size) == named
