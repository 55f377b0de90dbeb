"""What a configuration becomes: its deployments, and which of them the ingress is given."""

from typing import Any

import pytest
from ray.serve import Application

from serve_app.builder import build
from serve_app.config import AppConfig, LimitsConfig
from serve_app.pipeline import STAGES


def deployments(application: Application) -> dict[str, Any]:
    """Return the deployments that the ingress is given, by name."""
    given = application._bound_deployment.init_kwargs.values()
    return {each._bound_deployment.name: each._bound_deployment for each in given}


def test_the_ingress_is_given_every_stage_and_nothing_else_by_default() -> None:
    assert set(deployments(build(AppConfig()))) == set(STAGES)


@pytest.mark.parametrize(
    "limits",
    [
        {"requests_per_minute": 60},
        {"images_per_minute": 60},
        {"max_concurrent_requests": 4},
    ],
)
def test_where_something_is_limited_there_is_one_limiter(limits: dict[str, int]) -> None:
    config = AppConfig.model_validate({"limits": limits})
    found = deployments(build(config))
    assert set(found) == {*STAGES, "Limiter"}
    assert found["Limiter"].init_args == (LimitsConfig(**limits),)
    assert found["Limiter"].num_replicas == 1
