"""Ray's exceptions become ours, and only a lost replica is worth another try."""

import logging

import pytest
from ray.exceptions import ActorDiedError, ObjectLostError, RayTaskError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError, RayServeException

from serve_app.errors import (
    InvalidRequestError,
    OverloadedError,
    ReplicasExhaustedError,
    RequestError,
    StageFailedError,
)
from serve_app.ray_errors import is_replica_loss, to_request_error

REPLICA_TRACEBACK = "Traceback: secret/path.py, line 7"


def from_replica(cause: Exception) -> Exception:
    """Return an error as Ray raises it at the caller: a subclass of the cause's own class."""
    error: Exception = RayTaskError("denoise", REPLICA_TRACEBACK, cause).as_instanceof_cause()
    return error


def upstream_death() -> Exception:
    error: Exception = RayServeException("the upstream call failed")
    error.__cause__ = ActorDiedError()
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ActorDiedError(), True),
        (from_replica(ActorDiedError()), True),
        (upstream_death(), True),
        (ObjectLostError("0" * 56, None, "stack"), True),
        (RayServeException("not serializable"), False),
        (from_replica(ValueError("bug")), False),
        (from_replica(InvalidRequestError("'size' is odd", "size")), False),
        (BackPressureError(num_queued_requests=1, max_queued_requests=1), False),
    ],
)
def test_only_a_death_is_a_replica_loss(error: Exception, expected: bool) -> None:
    assert is_replica_loss(error) is expected


def test_our_own_error_comes_back_as_it_was_raised() -> None:
    raised = InvalidRequestError("'size' is odd", "size")
    told = to_request_error(from_replica(raised), "req_1")
    assert type(told) is InvalidRequestError
    assert (told.message, told.param, str(told)) == ("'size' is odd", "size", "'size' is odd")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (BackPressureError(num_queued_requests=1, max_queued_requests=1), OverloadedError),
        (DeploymentUnavailableError(None), OverloadedError),
        (ActorDiedError(), ReplicasExhaustedError),
        (from_replica(ValueError("secret")), StageFailedError),
    ],
)
def test_what_the_client_is_told(error: Exception, told: type[RequestError]) -> None:
    answer = to_request_error(error, "req_1")
    assert type(answer) is told
    assert "secret" not in answer.message


def test_the_cause_of_a_failed_stage_is_in_the_log_under_the_request_s_id(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR):
        to_request_error(from_replica(ValueError("bug")), "req_42")
    assert "req_42" in caplog.text
    assert REPLICA_TRACEBACK in caplog.text
