"""A stage without replicas is ready where it was scaled to zero, and not where it lost them."""

import pytest
from ray.serve._private.common import (
    DeploymentStatus,
    DeploymentStatusTrigger,
    ReplicaState,
)
from ray.serve.schema import DeploymentStatusOverview

from serve_app.deployments.readiness import can_work


def overview(status: str, trigger: str, running: int) -> DeploymentStatusOverview:
    states = {ReplicaState.RUNNING: running} if running else {}
    return DeploymentStatusOverview(
        status=DeploymentStatus(status),
        status_trigger=DeploymentStatusTrigger(trigger),
        replica_states=states,
        message="",
    )


@pytest.mark.parametrize(
    ("status", "trigger", "running", "ready"),
    [
        ("HEALTHY", "UPSCALE_COMPLETED", 1, True),
        ("UNHEALTHY", "HEALTH_CHECK_FAILED", 1, True),
        ("HEALTHY", "CONFIG_UPDATE_COMPLETED", 0, True),
        ("HEALTHY", "DOWNSCALE_COMPLETED", 0, True),
        ("UPSCALING", "AUTOSCALING", 0, True),
        ("UPDATING", "CONFIG_UPDATE_STARTED", 0, False),
        ("UNHEALTHY", "HEALTH_CHECK_FAILED", 0, False),
        ("DEPLOY_FAILED", "REPLICA_STARTUP_FAILED", 0, False),
    ],
)
def test_a_stage_is_ready(status: str, trigger: str, running: int, ready: bool) -> None:
    assert can_work(overview(status, trigger, running)) is ready


def test_a_stage_that_is_not_there_is_not_ready() -> None:
    assert not can_work(None)
