"""Every failure as OpenAI's error body: the one map from our exceptions to responses."""

from collections.abc import Mapping

from starlette.responses import Response

from serve_app.api.answers.documents import document_response
from serve_app.api.answers.schema import Error, ErrorEnvelope
from serve_app.errors import RequestError


def error_response(error: RequestError, headers: Mapping[str, str] | None = None) -> Response:
    """Return the response of a failure; `str(error)` may hold a traceback and is not in it."""
    return document_response(
        ErrorEnvelope(error=error_of(error)),
        error.status_code,
        headers={**(headers or {}), **error.headers},
        keeps_none=True,
    )


def error_of(error: RequestError) -> Error:
    """Return the body of a failure."""
    return Error(message=error.message, type=error.type, param=error.param, code=error.code)


def internal_error_response() -> Response:
    """Return the response of a bug, which says nothing of it."""
    return error_response(RequestError("Internal server error."))
