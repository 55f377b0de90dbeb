"""A request of which nothing came is sent again, from the proxy: a lost ingress costs no request.

That may be done as long as the client has heard nothing and is still there. The request keeps its
id: the second ingress completes in the history what the first began, and nothing is paid twice.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator
from functools import partial

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.api.middleware.every_request import REQUEST_ID, new_request_id

logger = logging.getLogger(__name__)

# Of all requests that one proxy waits with. A body for which there is no room is not kept, and its
# request not sent again.
MAX_KEPT_BYTES = 256 * 1024**2
HOLD_S, PAUSE_S = 10.0, 0.5  # for an application to be known, and between two looks
# Serve's own, which kubelets and load balancers read.
OWN_PATHS = "/-/"


class SendAgain:
    """Asks a proxy again where nothing came of a request, before the client has heard anything.

    Once more where it had nothing to say, as when its ingress died; not a third time: a request
    under which two ingresses died may be why. And for some seconds where it knows no application
    and never has: one that has just started may have to wait for a controller that has, too.
    """

    def __init__(
        self, app: ASGIApp, max_kept_bytes: int = MAX_KEPT_BYTES, hold_s: float = HOLD_S
    ) -> None:
        self.app = app
        self._room, self._hold_s = Room(max_kept_bytes), hold_s
        self._has_served = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its answer."""
        if scope["type"] != "http" or scope["path"].startswith(OWN_PATHS):
            await self.app(scope, receive, send)
            return
        scope[REQUEST_ID] = new_request_id()
        before, body = dict(scope), Body(receive, self._room)
        try:
            async for attempt in self._attempts(body, send):
                # The proxy has written into it where it sent the request.
                scope.update(before, headers=scope["headers"])
                await attempt.run(self.app, scope)
        finally:
            body.forget()

    async def _attempts(self, body: "Body", send: Send) -> AsyncIterator["Attempt"]:
        """Yield attempts until one is answered, and the last whatever comes of it."""
        ends_at = time.monotonic() + (0 if self._has_served else self._hold_s)
        attempt = Attempt(body, send)
        yield attempt
        while attempt.is_unserved and time.monotonic() < ends_at:
            await asyncio.sleep(PAUSE_S)
            attempt = Attempt(body, send)
            yield attempt
        self._has_served = self._has_served or not attempt.is_unserved
        if attempt.is_lost or attempt.is_unserved:
            yield Attempt(body, send, is_last=True)


class Attempt:
    """One try to have a request answered.

    Attributes:
        is_lost: Whether nothing came of it, and it may be tried again.
        is_unserved: Whether the proxy knew no application for it, and it may be tried again.
    """

    def __init__(self, body: "Body", send: Send, is_last: bool = False) -> None:
        self.is_lost = self.is_unserved = False
        self._body, self._send, self._is_last = body, send, is_last
        self._is_started = False

    async def run(self, app: ASGIApp, scope: Scope) -> None:
        """Pass the request on, and its answer if it is one."""
        try:
            await app(scope, self._body.from_start(), self._pass_on)
        except Exception:
            if not self._may_be_repeated():
                raise
            logger.exception("request %s: the proxy failed", scope[REQUEST_ID])
        self.is_lost = not self.is_unserved and self._may_be_repeated()
        if self.is_lost:
            logger.warning("request %s: its ingress was lost", scope[REQUEST_ID])

    async def _pass_on(self, message: Message) -> None:
        if self._may_be_repeated() and is_page_of_no_application(message):
            self.is_unserved = True
        if self.is_unserved:
            return
        self._is_started = True
        self._body.forget()
        await self._send(message)

    def _may_be_repeated(self) -> bool:
        return not (self._is_last or self._is_started) and self._body.may_be_read_again


def is_page_of_no_application(message: Message) -> bool:
    """Whether an answer begins as that of a proxy that knows no application for a path."""
    if message["type"] != "http.response.start" or message["status"] != 404:
        return False
    return is_page(message)


def is_page(start: Message) -> bool:
    """Whether an answer is an error in plain text, of the proxy itself; ours are JSON."""
    content_type = MutableHeaders(scope=start).get("content-type", "")
    return start["status"] >= 400 and content_type.startswith("text/plain")


class Room:
    """Bytes that may be kept, of all requests together."""

    def __init__(self, num_bytes: int) -> None:
        self._num_left = num_bytes

    def takes(self, num_bytes: int) -> bool:
        """Take some bytes, if there is room."""
        if num_bytes > self._num_left:
            return False
        self._num_left -= num_bytes
        return True

    def give_back(self, num_bytes: int) -> None:
        """Have room for so many again."""
        self._num_left += num_bytes


class Body:
    """What a client sends, kept as it is read."""

    def __init__(self, receive: Receive, room: Room) -> None:
        self._receive, self._room = receive, room
        self._messages: list[Message] = []
        self._num_bytes = 0
        self._is_kept = True
        self._is_client_gone = False

    @property
    def may_be_read_again(self) -> bool:
        """Whether all is still there that was read, and the client too."""
        return self._is_kept and not self._is_client_gone

    async def _receive_and_keep(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._is_client_gone = True
        elif self._is_kept:
            self._keep(message)
        return message

    def from_start(self) -> Receive:
        """Return what reads again what was read, and goes on with what comes."""
        return partial(self._next, iter(tuple(self._messages)))

    async def _next(self, read: Iterator[Message]) -> Message:
        message = next(read, None)
        return await self._receive_and_keep() if message is None else message

    def forget(self) -> None:
        """Keep no more."""
        self._room.give_back(self._num_bytes)
        self._messages, self._num_bytes, self._is_kept = [], 0, False

    def _keep(self, message: Message) -> None:
        num_bytes = len(message.get("body", b""))
        if self._room.takes(num_bytes):
            self._messages.append(message)
            self._num_bytes += num_bytes
        else:
            self.forget()
