"""What happens to every request: it gets an id, a line in the log, and always an answer."""

import logging
import secrets
import time
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.api.answers.errors import internal_error_response

logger = logging.getLogger(__name__)
access_logger = logging.getLogger("serve_app.access")

MAX_LOGGED_ID_CHARACTERS = 128
MAX_LOGGED_PATH_CHARACTERS = 256


def request_id_of(request: Request) -> str:
    """Return the id made for a request: `req_` and 128 random bits."""
    request_id: str = request.state.request_id
    return request_id


def answers_for(request: Request, request_id: str) -> None:
    """Name an earlier request in the answer, because the answer is that one's."""
    request.state.request_id = request_id


class HttpMiddleware:
    """Handles requests; the server's own start and end pass by."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle whatever the server brings."""
        handle = self.handle if scope["type"] == "http" else self.app
        await handle(scope, receive, send)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        raise NotImplementedError


class RequestIds(HttpMiddleware):
    """Gives every request an id of our own, and names in the answer whose request was answered.

    `x-request-id` is not ours to set: Serve's proxy appends it to every answer.
    """

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request, under a new id."""
        state = scope.setdefault("state", {})
        state["request_id"] = f"req_{secrets.token_hex(16)}"

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Lumenfall-Request-Id"] = state["request_id"]
            await send(message)

        await self.app(scope, receive, send_with_id)


class AccessLog(HttpMiddleware):
    """Writes one line per request, without its body, its query or its key."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request, and log how it went."""
        started_at = time.perf_counter()
        status: int | str = "cancelled"

        async def send_and_see(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["openai-processing-ms"] = str(_milliseconds_since(started_at))
            await send(message)

        try:
            await self.app(scope, receive, send_and_see)
        finally:
            _log_access(scope, status, _milliseconds_since(started_at))


class AnswerUnexpectedErrors(HttpMiddleware):
    """Turns a bug into a 500 that says nothing of it; the traceback goes to the log.

    Starlette's own middleware for this raises the error again, which Serve would log twice.
    """

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request; nothing but a broken answer leaves."""
        is_started = False

        async def send_and_see(message: Message) -> None:
            nonlocal is_started
            is_started = is_started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, send_and_see)
        except Exception:
            logger.exception("request %s failed", scope["state"]["request_id"])
            if is_started:
                raise
            await internal_error_response()(scope, receive, send)


def _milliseconds_since(started_at: float) -> int:
    return round((time.perf_counter() - started_at) * 1000)


def _log_access(scope: Scope, status: int | str, milliseconds: int) -> None:
    # Quoted: a path or an id with a line break must not write lines of its own.
    client_id = quote(Headers(scope=scope).get("x-request-id", "-"))[:MAX_LOGGED_ID_CHARACTERS]
    access_logger.info(
        "%s %s %s %d ms %s x-request-id=%s",
        scope["method"],
        quote(scope["path"], errors="replace")[:MAX_LOGGED_PATH_CHARACTERS],
        status,
        milliseconds,
        scope["state"]["request_id"],
        client_id,
    )
