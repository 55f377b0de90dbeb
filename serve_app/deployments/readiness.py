"""Whether every stage can work: with a replica, or with none because nobody needs one."""

import asyncio

from ray import serve
from ray.serve._private.common import DeploymentStatus, DeploymentStatusTrigger, ReplicaState
from ray.serve.schema import DeploymentStatusOverview

from serve_app.pipeline import STAGES

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

    def __init__(self, app_name: str) -> None:
        self._app_name = app_name

    async def __call__(self) -> bool:
        """Return whether a request can be served now, after a start at most."""
        status = await asyncio.to_thread(serve.status)
        application = status.applications.get(self._app_name)
        if application is None:
            return False
        return all(can_work(application.deployments.get(name)) for name in STAGES)


def can_work(deployment: DeploymentStatusOverview | None) -> bool:
    """Whether a deployment has a replica that runs, or gets one as soon as somebody calls it."""
    if deployment is None:
        return False
    if deployment.replica_states.get(ReplicaState.RUNNING, 0) > 0:
        return True
    return (deployment.status, deployment.status_trigger) in AT_REST
