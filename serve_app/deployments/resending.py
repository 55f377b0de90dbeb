"""A request whose ingress died goes to another, from the proxy: a lost replica costs no request.

That may be done as long as the client has heard nothing and is still there. The request keeps its
id: the second ingress completes in the history what the first began, and nothing is paid twice.
"""

import logging
from collections.abc import Callable, Iterator
from functools import partial

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.api.middleware.every_request import REQUEST_ID, new_request_id

logger = logging.getLogger(__name__)

# Of all requests that one proxy waits with. A body for which there is no room is not kept, and its
# request not sent again.
MAX_KEPT_BYTES = 256 * 1024**2


class SendAgain:
    """Asks a proxy a second time where it had nothing to say, as when its ingress died.

    Not a third time: a request under which two ingresses died may be why.
    """

    def __init__(self, app: ASGIApp, max_kept_bytes: int = MAX_KEPT_BYTES) -> None:
        self.app = app
        self._room = Room(max_kept_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope[REQUEST_ID] = new_request_id()
        before, body = dict(scope), Body(receive, self._room)
        try:
            if await self._is_lost(scope, body, send):
                logger.warning("request %s: its ingress was lost", scope[REQUEST_ID])
                # The proxy has written into it where it sent the request.
                scope.update(before, headers=scope["headers"])
                await self.app(scope, body.again(), send)
        finally:
            body.forget()

    async def _is_lost(self, scope: Scope, body: "Body", send: Send) -> bool:
        """Pass a request on; return whether nothing came of it and it may be sent again."""
        started = Started(send, body.forget)
        try:
            await self.app(scope, body.receive, started.send)
        except Exception:
            if started.is_started or not body.may_be_read_again:
                raise
            logger.exception("request %s: the proxy failed", scope[REQUEST_ID])
        return not started.is_started and body.may_be_read_again


class Started:
    """Whether an answer has begun."""

    def __init__(self, send: Send, on_start: Callable[[], None]) -> None:
        self.is_started = False
        self._send, self._on_start = send, on_start

    async def send(self, message: Message) -> None:
        """Pass a part of the answer on."""
        if not self.is_started:
            self.is_started = True
            self._on_start()
        await self._send(message)


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

    async def receive(self) -> Message:
        """Return what comes next."""
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._is_client_gone = True
        elif self._is_kept:
            self._keep(message)
        return message

    def again(self) -> Receive:
        """Return what reads all from its start, and goes on with what comes."""
        return partial(self._next, iter(tuple(self._messages)))

    async def _next(self, read: Iterator[Message]) -> Message:
        message = next(read, None)
        return await self._receive() if message is None else message

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
