"""Every error survives the trip between replicas, and says what the contract says."""

import pickle

import pytest

from serve_app import errors
from serve_app.errors import KreaServeError, RequestError

EXAMPLES = [
    errors.InvalidRequestError("Invalid value for 'n': 11. Must be between 1 and 10.", "n"),
    errors.BodyTimeoutError("The request body did not arrive within 300 seconds."),
    errors.ContentPolicyError(),
    errors.IdempotencyMismatchError(),
    errors.AuthenticationError(),
    errors.PermissionDeniedError("'n' is not allowed on this server.", "n"),
    errors.NotFoundError("No such path."),
    errors.ModelNotFoundError("Model 'x' not found.", "model"),
    errors.MethodNotAllowedError("GET only."),
    errors.PayloadTooLargeError("'image' is larger than 50 MB.", "image"),
    errors.UnsupportedMediaTypeError("Unsupported content type 'text/xml'."),
    errors.RateLimitedError("Too many.", 7, {"x-ratelimit-limit-requests": "60"}),
    errors.OverloadedError(retry_after_s=7),
    errors.DeadlineExceededError("The request did not finish within 240 seconds."),
    errors.ReplicasExhaustedError(),
    errors.PoisonRequestError(),
    errors.StageFailedError("denoiser"),
    errors.TooLargeForDeviceError("denoiser"),
    errors.ConfigError("no such file"),
    errors.WeightsError("no such directory"),
]


def leaves(kind: type[KreaServeError]) -> set[type[KreaServeError]]:
    # Ray makes further subclasses while it runs, one for each of our errors that it carried.
    ours = [child for child in kind.__subclasses__() if child.__module__ == errors.__name__]
    children = {leaf for child in ours for leaf in leaves(child)}
    return children | ({kind} - {KreaServeError, RequestError, errors.StartError})


def test_examples_cover_the_tree() -> None:
    assert {type(error) for error in EXAMPLES} == leaves(KreaServeError)


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_state_survives_pickling(error: KreaServeError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert vars(copy) == vars(error)
    assert copy.message == error.message


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.InvalidRequestError("'n' is odd.", "n"), 400, "INVALID_REQUEST"),
        (errors.ContentPolicyError(), 400, "CONTENT_POLICY_VIOLATION"),
        (errors.IdempotencyMismatchError(), 400, "IDEMPOTENCY_MISMATCH"),
        (errors.AuthenticationError(), 401, "AUTHENTICATION_FAILED"),
        (errors.PermissionDeniedError("No."), 403, "PERMISSION_DENIED"),
        (errors.ModelNotFoundError("No such model."), 404, "MODEL_NOT_FOUND"),
        (errors.RateLimitedError(), 429, "RATE_LIMITED"),
        (errors.OverloadedError(), 503, "SERVICE_UNAVAILABLE"),
        (errors.DeadlineExceededError("Too late."), 504, "TIMEOUT"),
        (errors.ReplicasExhaustedError(), 502, "ALL_PROVIDERS_EXHAUSTED"),
        (errors.PoisonRequestError(), 500, "INTERNAL_ERROR"),
        (errors.StageFailedError("vae"), 500, "INTERNAL_ERROR"),
    ],
)
def test_status_and_code(error: RequestError, status: int, code: str) -> None:
    assert (error.status_code, error.code) == (status, code)


def test_headers_tell_the_client_what_to_do_next() -> None:
    assert errors.OverloadedError(retry_after_s=7).headers == {"Retry-After": "7"}
    assert errors.RateLimitedError("Too many.", 7, {"x-ratelimit-limit-images": "9"}).headers == {
        "Retry-After": "7",
        "x-ratelimit-limit-images": "9",
    }
    assert errors.AuthenticationError().headers == {"WWW-Authenticate": "Bearer"}
    assert errors.DeadlineExceededError("late").headers == {"x-should-retry": "false"}


def test_a_failed_stage_is_named_in_the_log_and_not_to_the_client() -> None:
    error = errors.StageFailedError("denoiser")
    assert error.stage == "denoiser"
    assert "denoiser" not in error.message
