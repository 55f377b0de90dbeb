"""Whether every stage has a replica that can work."""

import asyncio

from ray import serve
from ray.serve._private.common import ReplicaState
from ray.serve.schema import DeploymentStatusOverview

from serve_app.pipeline import STAGES


class Readiness:
    """Asks Serve's controller about the stages of one application."""

    def __init__(self, app_name: str) -> None:
        self._app_name = app_name

    async def __call__(self) -> bool:
        """Return whether a request can be served now."""
        status = await asyncio.to_thread(serve.status)
        application = status.applications.get(self._app_name)
        if application is None:
            return False
        return all(_has_replica(application.deployments.get(name)) for name in STAGES)


def _has_replica(deployment: DeploymentStatusOverview | None) -> bool:
    return deployment is not None and deployment.replica_states.get(ReplicaState.RUNNING, 0) > 0
