"""What happens to every request: it gets an id, and always an answer."""

import logging
import secrets
from collections.abc import Callable

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.api.answers.errors import internal_error_response
from serve_app.api.observed import note_error
from serve_app.errors import RequestError

logger = logging.getLogger(__name__)


# In an ASGI scope, where no client can write: the id that a proxy of ours has given a request.
REQUEST_ID = "krea_serve.request_id"


def new_request_id() -> str:
    """Return an id for a request: `req_` and 128 random bits."""
    return f"req_{secrets.token_hex(16)}"


def request_id_of(request: Request) -> str:
    """Return the id that was made for a request."""
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

    def __init__(self, app: ASGIApp, announce: Callable[[str], None]) -> None:
        """Name the requests of an app, and announce each name before anything is done."""
        super().__init__(app)
        self._announce = announce

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request, under the id that the proxy gave it, or a new one."""
        state = scope.setdefault("state", {})
        state["request_id"] = scope.get(REQUEST_ID) or new_request_id()
        self._announce(state["request_id"])

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Lumenfall-Request-Id"] = state["request_id"]
            await send(message)

        await self.app(scope, receive, send_with_id)


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
            note_error(HTTPConnection(scope), RequestError(""))
            if is_started:
                raise
            await internal_error_response()(scope, receive, send)
