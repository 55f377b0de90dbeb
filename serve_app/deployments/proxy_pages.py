"""What Serve's own proxy has to say, in our errors: none of our clients reads plain text.

Its proxies call `middlewares` when they start, where their environment says so.
"""

from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.api.answers.errors import error_response
from serve_app.api.middleware.every_request import REQUEST_ID, new_request_id
from serve_app.deployments.resending import OWN_PATHS, SendAgain, is_page
from serve_app.errors import DeadlineExceededError, OverloadedError, RequestError

IMPORT_PATH = f"{__name__}:middlewares"

MAX_PATH_CHARACTERS = 256  # of one that is quoted
RETRY_AFTER_S = 2


def middlewares() -> list[Middleware]:
    """Return what a proxy is to wrap itself in, the outermost last."""
    return [Middleware(SendAgain), Middleware(AnswerInJson)]


class AnswerInJson:
    """Replaces the plain-text errors that no application of ours has written.

    A proxy whose replica died has nothing to say at all, and leaves the page to its server.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its answer or another."""
        if scope["type"] != "http" or scope["path"].startswith(OWN_PATHS):
            await self.app(scope, receive, send)
            return
        is_started = is_replaced = False

        async def in_json(message: Message) -> None:
            nonlocal is_started, is_replaced
            is_started = True
            if message["type"] == "http.response.start" and is_page(message):
                is_replaced = True
                await replacement(message, scope, receive, send)
            elif not is_replaced:
                await send(message)

        try:
            await self.app(scope, receive, in_json)
        finally:
            if not is_started:
                response = page_of(500, scope)
                # Serve's id, which its own middleware within this one would have added.
                if (request_id := Headers(scope=scope).get("x-request-id")) is not None:
                    response.headers["x-request-id"] = request_id
                await response(scope, receive, send)


async def replacement(start: Message, scope: Scope, receive: Receive, send: Send) -> None:
    """Send our error instead of a page, with the page's other headers."""
    response = page_of(start["status"], scope)
    ours = {name for name, _ in response.raw_headers}
    response.raw_headers += [
        (name, value) for name, value in start["headers"] if name.lower() not in ours
    ]
    await response(scope, receive, send)


def page_of(status: int, scope: Scope) -> Response:
    """Return our answer instead of a page; no ingress has answered under the request's id."""
    response = error_response(error_of(status, scope))
    response.headers["X-Lumenfall-Request-Id"] = scope.get(REQUEST_ID) or new_request_id()
    return response


def error_of(status: int, scope: Scope) -> RequestError:
    """Return what a page of the proxy means."""
    if status == 404:
        # Not a 404, for it may be about to start, or to be replaced: clients are to try again.
        shown = quote(scope["path"], errors="replace")[:MAX_PATH_CHARACTERS]
        return OverloadedError(f"No application serves {shown} now.", retry_after_s=RETRY_AFTER_S)
    if status == 408:
        return DeadlineExceededError("The request took too long.")
    if status == 503:
        return OverloadedError(retry_after_s=RETRY_AFTER_S)
    return RequestError("Internal server error.")
