"""What happens to every request: it gets an id, a line in the log, and always an answer."""

import logging
import secrets
import time
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.api.errors import internal_error_response
from serve_app.errors import AuthenticationError

logger = logging.getLogger(__name__)
access_logger = logging.getLogger("serve_app.access")

MAX_LOGGED_ID_CHARACTERS = 128


def request_id_of(request: Request) -> str:
    """Return the id made for a request: `req_` and 128 random bits."""
    request_id: str = request.state.request_id
    return request_id


class RequestIds:
    """Gives every request an id of our own, and names it in the answer.

    `x-request-id` is not ours to set: Serve's proxy appends it to every answer.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a connection, under a new id."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = f"req_{secrets.token_hex(16)}"
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Lumenfall-Request-Id"] = request_id
            await send(message)

        await self.app(scope, receive, send_with_id)


class AccessLog:
    """Writes one line per request, without its body, its query or its key."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a connection, and log how it went."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
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


class AnswerUnexpectedErrors:
    """Turns a bug into a 500 that says nothing of it; the traceback goes to the log.

    Starlette's own middleware for this raises the error again, which Serve would log twice.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a connection; nothing but a broken answer leaves."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
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


class RequireKey:
    """Lets a request pass that carries the server's key, or any where the server has none."""

    def __init__(self, app: ASGIApp, api_key: str | None) -> None:
        self.app = app
        self._api_key = None if api_key is None else api_key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request, if it has the key."""
        if self._api_key is not None:
            self._check(Headers(scope=scope).get("authorization", ""), self._api_key)
        await self.app(scope, receive, send)

    def _check(self, authorization: str, api_key: bytes) -> None:
        scheme, _, key = authorization.partition(" ")
        # The time this takes must not tell how much of a guess was right.
        is_key = secrets.compare_digest(key.strip().encode("latin-1"), api_key)
        if scheme.lower() != "bearer" or not is_key:
            raise AuthenticationError


def _milliseconds_since(started_at: float) -> int:
    return round((time.perf_counter() - started_at) * 1000)


def _log_access(scope: Scope, status: int | str, milliseconds: int) -> None:
    # Quoted: a path or an id with a line break must not write lines of its own.
    client_id = quote(Headers(scope=scope).get("x-request-id", "-"))[:MAX_LOGGED_ID_CHARACTERS]
    access_logger.info(
        "%s %s %s %d ms %s x-request-id=%s",
        scope["method"],
        quote(scope["path"], errors="replace"),
        status,
        milliseconds,
        scope["state"]["request_id"],
        client_id,
    )
