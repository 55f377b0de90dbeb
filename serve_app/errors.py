"""Every failure this project can name.

    KreaServeError
    ├── RequestError                   answered to the client
    │   ├── InvalidRequestError        400
    │   │   ├── BodyTimeoutError
    │   │   ├── ContentPolicyError
    │   │   └── IdempotencyMismatchError
    │   ├── AuthenticationError        401
    │   ├── PermissionDeniedError      403
    │   ├── NotFoundError              404
    │   ├── PayloadTooLargeError       413
    │   ├── UnsupportedMediaTypeError  415
    │   ├── RateLimitedError           429
    │   ├── OverloadedError            503
    │   ├── DeadlineExceededError      504
    │   ├── ReplicasExhaustedError     502
    │   ├── PoisonRequestError         500
    │   └── StageFailedError           500
    │       └── TooLargeForDeviceError
    └── StartError                     refuses to start, in one clear line
        ├── ConfigError
        └── WeightsError

An error crosses replicas by pickle, which calls its class with the positional arguments it was
made with and then restores its attributes: so every argument has a place or a default.
`message` is what a client may read; the text of Ray's wrapper also holds a replica's traceback.
"""

from collections.abc import Mapping


class KreaServeError(Exception):
    """The root of the tree."""

    def __init__(self, message: str) -> None:
        self.message = message

    def __str__(self) -> str:
        return self.message


class RequestError(KreaServeError):
    """A failure that is answered to the client in OpenAI's error shape."""

    status_code = 500
    type = "server_error"
    code = "INTERNAL_ERROR"
    # Why, in a word that metrics can count by and no client reads: of a refusal what there is too
    # little of, of a key what is wrong with it.
    reason = ""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param

    @property
    def headers(self) -> dict[str, str]:
        """Headers that tell the client what to do next."""
        return {}


class InvalidRequestError(RequestError):
    """A parameter breaks a rule; `message` names the field (`param`), the rule, the value."""

    status_code = 400
    type = "invalid_request_error"
    code = "INVALID_REQUEST"


class BodyTimeoutError(InvalidRequestError):
    """A body that takes too long to come.

    Not 408, which says it better: OpenAI's clients send it again, and it is as long again.
    """

    code = "REQUEST_TIMEOUT"

    @property
    def headers(self) -> dict[str, str]:
        """Headers that tell the client what to do next."""
        # The rest of the body is still to come, and nobody will read it.
        return {"Connection": "close"}


class ContentPolicyError(InvalidRequestError):
    """The safety checker flagged a picture; none of the request is delivered."""

    type = "image_generation_user_error"
    code = "CONTENT_POLICY_VIOLATION"

    def __init__(
        self, message: str = "The safety checker flagged a picture of this request."
    ) -> None:
        super().__init__(message)


class IdempotencyMismatchError(InvalidRequestError):
    """An `Idempotency-Key` that belongs to another request.

    Not 409 or 422, which say it better: OpenAI's clients send a 409 again, and lose a 422.
    """

    code = "IDEMPOTENCY_MISMATCH"

    def __init__(
        self, message: str = "This 'Idempotency-Key' was used for another request."
    ) -> None:
        super().__init__(message)


class AuthenticationError(RequestError):
    """No key, or not one of ours."""

    status_code = 401
    type = "authentication_error"
    code = "AUTHENTICATION_FAILED"

    def __init__(
        self, message: str = "Invalid or missing API key.", reason: str = "unknown"
    ) -> None:
        super().__init__(message)
        self.reason = reason

    @property
    def headers(self) -> dict[str, str]:
        """Headers that tell the client what to do next."""
        return {"WWW-Authenticate": "Bearer"}


class PermissionDeniedError(RequestError):
    """The operator does not allow it: to anybody, or to this key."""

    status_code = 403
    type = "permission_error"
    code = "PERMISSION_DENIED"


class NotFoundError(RequestError):
    """No such path, model or picture."""

    status_code = 404
    type = "invalid_request_error"
    code = "NOT_FOUND"


class ModelNotFoundError(NotFoundError):
    """A model this server does not serve."""

    code = "MODEL_NOT_FOUND"


class MethodNotAllowedError(RequestError):
    """The path exists, the method does not."""

    status_code = 405
    type = "invalid_request_error"
    code = "METHOD_NOT_ALLOWED"


class PayloadTooLargeError(RequestError):
    """A body or a file over its limit."""

    status_code = 413
    type = "invalid_request_error"
    code = "PAYLOAD_TOO_LARGE"


class UnsupportedMediaTypeError(RequestError):
    """A body that is not JSON."""

    status_code = 415
    type = "invalid_request_error"
    code = "UNSUPPORTED_MEDIA_TYPE"


class RateLimitedError(RequestError):
    """The caller has used up a limit of its own; it may come back after `retry_after_s`."""

    status_code = 429
    type = "rate_limit_error"
    code = "RATE_LIMITED"

    def __init__(
        self,
        message: str = "Rate limit exceeded.",
        retry_after_s: int = 1,
        limit_headers: Mapping[str, str] | None = None,
        reason: str = "requests",
    ) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.reason = reason
        self.limit_headers = dict(limit_headers or {})

    @property
    def headers(self) -> dict[str, str]:
        """Headers that tell the client what to do next."""
        return {"Retry-After": str(self.retry_after_s)} | self.limit_headers


NOT_IN_TIME = "deadline"  # why a stage refuses: it would be late, or others would


class OverloadedError(RequestError):
    """No capacity now; the client may come back after `retry_after_s`."""

    status_code = 503
    code = "SERVICE_UNAVAILABLE"

    def __init__(
        self,
        message: str = "The server is at capacity.",
        retry_after_s: int = 5,
        reason: str = "capacity",
    ) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.reason = reason

    @property
    def headers(self) -> dict[str, str]:
        """Headers that tell the client what to do next."""
        return {"Retry-After": str(self.retry_after_s)}


class DeadlineExceededError(RequestError):
    """The server's own deadline passed."""

    status_code = 504
    code = "TIMEOUT"

    @property
    def headers(self) -> dict[str, str]:
        """Headers that tell the client what to do next."""
        return {"x-should-retry": "false"}


class ReplicasExhaustedError(RequestError):
    """The replicas that were tried all died."""

    status_code = 502
    code = "ALL_PROVIDERS_EXHAUSTED"

    def __init__(self, message: str = "The engine failed on every replica that was tried.") -> None:
        super().__init__(message)


class PoisonRequestError(RequestError):
    """Replicas die of this request: a second one died while it was the only suspect."""

    def __init__(
        self, message: str = "The engine died of this request twice; it is not tried again."
    ) -> None:
        super().__init__(message)

    @property
    def headers(self) -> dict[str, str]:
        """Headers that tell the client what to do next."""
        return {"x-should-retry": "false"}


class StageFailedError(RequestError):
    """A stage failed; `stage` says which, the cause stays in the log."""

    def __init__(self, stage: str) -> None:
        super().__init__("Internal server error.")
        self.stage = stage


class TooLargeForDeviceError(StageFailedError):
    """One request alone takes more memory than a device has; it would again."""

    @property
    def headers(self) -> dict[str, str]:
        """Headers that tell the client what to do next."""
        return {"x-should-retry": "false"}


class StartError(KreaServeError):
    """The server refuses to start."""


class ConfigError(StartError):
    """A configuration that cannot be served."""


class WeightsError(StartError):
    """A model directory that is missing or broken."""
