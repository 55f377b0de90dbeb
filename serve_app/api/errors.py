"""Every failure as OpenAI's error body: the one map from exceptions to responses."""

from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from serve_app.api.documents import document_response
from serve_app.api.schema import Error, ErrorEnvelope
from serve_app.errors import MethodNotAllowedError, NotFoundError, RequestError


async def answer_request_error(request: Request, exc: Exception) -> Response:
    """Answer one of our own failures, also one that a replica raised."""
    assert isinstance(exc, RequestError)
    return error_response(exc)


async def answer_http_exception(request: Request, exc: Exception) -> Response:
    """Answer what Starlette's routing found out: no such path, or not this method."""
    assert isinstance(exc, HTTPException)
    path = quote(request.scope["path"], errors="replace")
    if exc.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = (exc.headers or {}).get("Allow", "")
        message = f"{request.method} is not allowed on {path}. Allowed: {allowed}."
        return error_response(MethodNotAllowedError(message), exc.headers)
    if exc.status_code == HTTPStatus.NOT_FOUND:
        return error_response(NotFoundError(f"There is no {request.method} {path}."))
    return internal_error_response()


def error_response(error: RequestError, headers: Mapping[str, str] | None = None) -> Response:
    """Return the response of a failure; `str(error)` may hold a traceback and is not in it."""
    body = Error(message=error.message, type=error.type, param=error.param, code=error.code)
    return document_response(
        ErrorEnvelope(error=body),
        error.status_code,
        headers={**(headers or {}), **error.headers},
        keeps_none=True,
    )


def internal_error_response() -> Response:
    """Return the response of a bug, which says nothing of it."""
    return error_response(RequestError("Internal server error."))
