"""From an exception to an answer: what Starlette calls when an endpoint raises."""

from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from serve_app.api.answers.errors import error_response, internal_error_response
from serve_app.api.middleware.recording import note_failure
from serve_app.api.observed import note_error
from serve_app.errors import MethodNotAllowedError, NotFoundError, RequestError

MAX_PATH_CHARACTERS = 256  # of one that is quoted


async def answer_request_error(request: Request, exc: Exception) -> Response:
    """Answer one of our own failures, also one that a replica raised."""
    assert isinstance(exc, RequestError)
    note_failure(request, exc)
    return error_response(exc)


async def answer_http_exception(request: Request, exc: Exception) -> Response:
    """Answer what Starlette's routing found out: no such path, or not this method."""
    assert isinstance(exc, HTTPException)
    path = quote(request.scope["path"], errors="replace")[:MAX_PATH_CHARACTERS]
    if exc.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = (exc.headers or {}).get("Allow", "")
        message = f"{request.method} is not allowed on {path}. Allowed: {allowed}."
        return _answer(request, MethodNotAllowedError(message), exc.headers)
    if exc.status_code == HTTPStatus.NOT_FOUND:
        return _answer(request, NotFoundError(f"There is no {request.method} {path}."))
    return internal_error_response()


def _answer(
    request: Request, error: RequestError, headers: Mapping[str, str] | None = None
) -> Response:
    note_error(request, error)
    return error_response(error, headers)
