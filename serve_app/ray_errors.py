"""Ray's exceptions in the words of `errors.py`; the pipeline is the only caller."""

import logging

from ray.exceptions import ObjectLostError, RayActorError, RayTaskError
from ray.serve.exceptions import (
    BackPressureError,
    DeploymentUnavailableError,
    RayServeException,
)

from serve_app.errors import (
    OverloadedError,
    ReplicasExhaustedError,
    RequestError,
    StageFailedError,
)

logger = logging.getLogger(__name__)


def is_replica_loss(error: BaseException) -> bool:
    """Whether a replica died under the call, so that the same call may succeed on another.

    Ray raises one of its own errors as `RayTaskError(X)`, a subclass of X. A death further up the
    chain arrives as a bare `RayServeException` with the death as its cause (Ray 2.60).
    """
    if isinstance(error, (RayActorError, ObjectLostError)):
        return True
    return isinstance(error, RayServeException) and isinstance(error.__cause__, RayActorError)


def to_request_error(error: Exception, request_id: str) -> RequestError:
    """Return what the client is told; what it is not told goes to the log."""
    if isinstance(error, RequestError):
        # The wrapper's text holds the replica's traceback; the cause is the error as it was raised.
        cause = error.cause if isinstance(error, RayTaskError) else error
        return cause if isinstance(cause, RequestError) else error
    if isinstance(error, (BackPressureError, DeploymentUnavailableError)):
        return OverloadedError()
    logger.error("request %s failed", request_id, exc_info=error)
    return ReplicasExhaustedError() if is_replica_loss(error) else StageFailedError("pipeline")
