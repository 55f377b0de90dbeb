"""What stands before a server: it sees every try, and turns the first ones away."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from serve_app.api.answers.errors import error_response
from serve_app.errors import OverloadedError

RETRY_AFTER_S = 1

Refusal = Callable[[], Response]


@dataclass(frozen=True, slots=True)
class Try:
    """A POST that arrived.

    Attributes:
        came_at_s: Of a clock that only goes forward.
        headers: As the client sent them.
    """

    came_at_s: float
    headers: Headers


@dataclass
class Front:
    """An app behind a gateway.

    Attributes:
        app: Which gets what is not refused.
        refusals: The answers to the next POSTs.
        tries: The POSTs so far.
        url: Where it is reached.
    """

    app: ASGIApp
    refusals: list[Refusal] = field(default_factory=list)
    tries: list[Try] = field(default_factory=list)
    url: str = ""

    @property
    def pauses_s(self) -> list[float]:
        """How long the client waited before each further try."""
        times = [tried.came_at_s for tried in self.tries]
        return [later - earlier for earlier, later in pairwise(times)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_try = scope["type"] == "http" and scope["method"] == "POST"
        if is_try:
            self.tries.append(Try(time.monotonic(), Headers(scope=scope)))
        if is_try and self.refusals:
            await self.refusals.pop(0)()(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def overloaded() -> Response:
    """Return what the server itself answers when its queue is full."""
    return error_response(OverloadedError(retry_after_s=RETRY_AFTER_S))


def rate_limited() -> Response:
    """Return what a limit on a key comes to."""
    content = (
        b'{"error":{"message":"Rate limit exceeded.","type":"rate_limit_error","param":null,'
        b'"code":"RATE_LIMITED"}}'
    )
    headers = {"Retry-After": str(RETRY_AFTER_S)}
    return Response(content, 429, headers, media_type="application/json")
