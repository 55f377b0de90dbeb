"""A stage without replicas is ready where it was scaled to zero, and not where it lost them."""

import asyncio
import threading
import time

import pytest
from ray.exceptions import RayActorError
from ray.serve._private.common import (
    DeploymentStatus,
    DeploymentStatusTrigger,
    ReplicaState,
)
from ray.serve.schema import ApplicationStatusOverview, DeploymentStatusOverview, ServeStatus

from serve_app.deployments.readiness import Readiness, can_work
from serve_app.errors import OverloadedError
from serve_app.pipeline import STAGES

PATIENCE_S = 20


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


READY = ServeStatus(
    applications={
        "krea-serve": ApplicationStatusOverview(
            status="RUNNING",
            message="",
            last_deployed_time_s=0,
            deployments={name: overview("HEALTHY", "UPSCALE_COMPLETED", 1) for name in STAGES},
        )
    }
)


class Controller:
    """Answers once it may; counts the questions."""

    def __init__(self) -> None:
        self.may_answer = threading.Event()
        self.num_asked = 0
        self.failure: Exception | None = None

    def status(self) -> ServeStatus:
        self.num_asked += 1
        self.may_answer.wait(PATIENCE_S)
        if self.failure is not None:
            raise self.failure
        return READY


async def test_the_controller_says_that_all_stages_can_work() -> None:
    controller = Controller()
    controller.may_answer.set()
    assert await Readiness("krea-serve", controller.status)()
    assert not await Readiness("another", controller.status)()


async def test_a_controller_that_hangs_is_not_waited_for_and_takes_one_thread() -> None:
    controller = Controller()
    is_ready = Readiness("krea-serve", controller.status, timeout_s=0.05)
    before, began_at = threading.active_count(), time.monotonic()
    for _ in range(5):
        answers = await asyncio.gather(*[is_ready() for _ in range(4)], return_exceptions=True)
        for refused in answers:
            assert isinstance(refused, OverloadedError)
            assert (refused.status_code, refused.reason) == (503, "controller")
            assert "controller does not answer" in refused.message
    assert time.monotonic() - began_at < PATIENCE_S
    assert controller.num_asked == 1
    assert threading.active_count() <= before + 1
    controller.may_answer.set()
    await answered(is_ready)
    assert await is_ready()
    assert controller.num_asked == 2


async def answered(is_ready: Readiness) -> None:
    """Wait until the question that was given up has its answer."""
    async with asyncio.timeout(PATIENCE_S):
        while is_ready._asked is not None:
            await asyncio.sleep(0.01)


async def test_a_late_failure_is_nobody_s(caplog: pytest.LogCaptureFixture) -> None:
    controller = Controller()
    controller.failure = RayActorError()
    is_ready = Readiness("krea-serve", controller.status, timeout_s=0.05)
    with pytest.raises(OverloadedError):
        await is_ready()
    controller.may_answer.set()
    await answered(is_ready)
    assert "never retrieved" not in caplog.text


async def test_a_dead_controller_is_not_ready() -> None:
    controller = Controller()
    controller.failure = RayActorError()
    controller.may_answer.set()
    with pytest.raises(OverloadedError) as refused:
        await Readiness("krea-serve", controller.status)()
    assert refused.value.reason == "controller"


async def test_who_stops_asking_leaves_the_question_to_the_others() -> None:
    controller = Controller()
    is_ready = Readiness("krea-serve", controller.status, timeout_s=PATIENCE_S)
    first, second = asyncio.create_task(is_ready()), asyncio.create_task(is_ready())
    await asyncio.sleep(0)
    first.cancel()
    controller.may_answer.set()
    assert await second
    assert first.cancelled()
    assert controller.num_asked == 1
