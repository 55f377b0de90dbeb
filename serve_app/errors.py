"""Every failure this project can name.

    KreaServeError
    ├── RequestError                   answered to the client
    │   ├── InvalidRequestError        400
    │   ├── AuthenticationError        401
    │   ├── NotFoundError              404
    │   ├── PayloadTooLargeError       413
    │   ├── UnsupportedMediaTypeError  415
    │   ├── OverloadedError            503
    │   ├── DeadlineExceededError      504
    │   ├── ReplicasExhaustedError     502
    │   └── StageFailedError           500
    └── StartError                     refuses to start, in one clear line
        ├── ConfigError
        └── WeightsError

An error crosses replicas by pickle, which calls its class with the positional arguments it was
made with and then restores its attributes: so every argument has a place or a default.
`message` is what a client may read; the text of Ray's wrapper also holds a replica's traceback.
"""


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


class AuthenticationError(RequestError):
    """No key, or not one of ours."""

    status_code = 401
    type = "authentication_error"
    code = "AUTHENTICATION_FAILED"

    def __init__(self, message: str = "Invalid or missing API key.") -> None:
        super().__init__(message)

    @property
    def headers(self) -> dict[str, str]:
        """Headers that tell the client what to do next."""
        return {"WWW-Authenticate": "Bearer"}


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


class OverloadedError(RequestError):
    """No capacity now; the client may come back after `retry_after_s`."""

    status_code = 503
    code = "SERVICE_UNAVAILABLE"

    def __init__(self, message: str = "The server is at capacity.", retry_after_s: int = 5) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s

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


class StageFailedError(RequestError):
    """A stage failed; `stage` says which, the cause stays in the log."""

    def __init__(self, stage: str) -> None:
        super().__init__("Internal server error.")
        self.stage = stage


class StartError(KreaServeError):
    """The server refuses to start."""


class ConfigError(StartError):
    """A configuration that cannot be served."""


class WeightsError(StartError):
    """A model directory that is missing or broken."""
