"""How many requests for pictures an ingress works on at a time; more are refused at once."""

import math
import time
from collections import deque
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from serve_app.errors import OverloadedError

NUM_REMEMBERED = 32
MIN_RETRY_S, MAX_RETRY_S = 1, 60


class Room:
    """The places of one ingress; it knows how fast they become free."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._num_taken = 0
        self._freed_at: deque[float] = deque(maxlen=NUM_REMEMBERED)

    def take(self, num_places: int) -> None:
        """Take a place.

        Args:
            num_places: That there are now; an operator may change it.

        Raises:
            OverloadedError: None is free.
        """
        if self._num_taken >= num_places:
            raise OverloadedError(retry_after_s=self._retry_after_s())
        self._num_taken += 1

    def free(self) -> None:
        """Give a place back."""
        self._num_taken -= 1
        self._freed_at.append(self._clock())

    def _retry_after_s(self) -> int:
        """Return in how many seconds a place becomes free, as the latest ones did."""
        if len(self._freed_at) < 2:
            return MIN_RETRY_S
        seconds = (self._clock() - self._freed_at[0]) / (len(self._freed_at) - 1)
        return min(max(math.ceil(seconds), MIN_RETRY_S), MAX_RETRY_S)


class LimitCrowd:
    """Refuses a request before its body is read, where too many are being worked on."""

    def __init__(self, app: ASGIApp, room: Room) -> None:
        """Guard an app with the room that it shares with others."""
        self.app = app
        self._room = room

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request until its answer is sent.

        Raises:
            OverloadedError: There is no room.
        """
        self._room.take(scope["app"].state.services.config.max_pending_requests)
        try:
            await self.app(scope, receive, send)
        finally:
            self._room.free()
