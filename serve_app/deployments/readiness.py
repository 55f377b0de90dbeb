"""Whether every stage can work: with a replica, or with none because nobody needs one."""

import asyncio
import logging
from collections.abc import Callable

from ray import serve
from ray.exceptions import RayError
from ray.serve._private.common import DeploymentStatus, DeploymentStatusTrigger, ReplicaState
from ray.serve.exceptions import RayServeException
from ray.serve.schema import DeploymentStatusOverview, ServeStatus

from serve_app.errors import OverloadedError
from serve_app.pipeline import STAGES

logger = logging.getLogger(__name__)

# It answers in milliseconds; what asks for readiness mostly gives up after some seconds itself.
STATUS_TIMEOUT_S = 3.0

# With these a stage without replicas has been scaled to zero, or is on its way back: a request
# waits for it. With the others it has lost its replicas, or never had any.
AT_REST = {
    (DeploymentStatus.HEALTHY, trigger)
    for trigger in (
        DeploymentStatusTrigger.CONFIG_UPDATE_COMPLETED,
        DeploymentStatusTrigger.UPSCALE_COMPLETED,
        DeploymentStatusTrigger.DOWNSCALE_COMPLETED,
    )
} | {
    (DeploymentStatus.UPSCALING, DeploymentStatusTrigger.AUTOSCALING),
    (DeploymentStatus.DOWNSCALING, DeploymentStatusTrigger.AUTOSCALING),
}


class Readiness:
    """Asks Serve's controller about the stages of one application."""

    def __init__(
        self,
        app_name: str,
        ask: Callable[[], ServeStatus] = serve.status,
        timeout_s: float = STATUS_TIMEOUT_S,
    ) -> None:
        """Look after an application.

        Args:
            app_name: Its name.
            ask: Returns the status of all; may block for as long as the controller is away.
            timeout_s: Seconds to wait for that.
        """
        self._app_name = app_name
        self._ask = ask
        self._timeout_s = timeout_s
        self._asked: asyncio.Task[ServeStatus] | None = None

    async def __call__(self) -> bool:
        """Return whether a request can be served now, after a start at most.

        Raises:
            OverloadedError: The controller does not say so in time.
        """
        status = await self._status()
        application = status.applications.get(self._app_name)
        if application is None:
            return False
        return all(can_work(application.deployments.get(name)) for name in STAGES)

    async def _status(self) -> ServeStatus:
        # One question for all who ask meanwhile. It cannot be taken back: a thread for each would
        # be a thread more with every probe while the controller is away.
        if self._asked is None:
            self._asked = asyncio.create_task(asyncio.to_thread(self._ask))
            self._asked.add_done_callback(self._answered)
        try:
            async with asyncio.timeout(self._timeout_s):
                return await asyncio.shield(self._asked)
        except (TimeoutError, RayError, RayServeException) as error:
            logger.warning("Serve's controller did not tell its status: %r", error)
            raise OverloadedError(
                "The server is not ready: its controller does not answer.", reason="controller"
            ) from error

    def _answered(self, asked: "asyncio.Task[ServeStatus]") -> None:
        self._asked = None
        if not asked.cancelled():
            asked.exception()  # seen, of which asyncio would complain where nobody waits any more


def can_work(deployment: DeploymentStatusOverview | None) -> bool:
    """Whether a deployment has a replica that runs, or gets one as soon as somebody calls it."""
    if deployment is None:
        return False
    if deployment.replica_states.get(ReplicaState.RUNNING, 0) > 0:
        return True
    return (deployment.status, deployment.status_trigger) in AT_REST
