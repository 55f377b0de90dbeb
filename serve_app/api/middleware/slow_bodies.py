"""Bodies that come too slowly: none is waited for without end, and none keeps others out.

So many are read at a time as requests are worked on. For one more, the one that has been read for
longest gives way: of many that write slowly and some that do not, it is one of the slow ones.
"""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.errors import BodyTimeoutError, OverloadedError, RequestError


class Body:
    """One that is being read."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._ends_at = asyncio.get_running_loop().time() + timeout_s
        self._waiting: asyncio.Timeout | None = None
        self._has_given_way = False

    async def next(self, receive: Receive) -> Message:
        """Return what comes next of it.

        Raises:
            BodyTimeoutError: Its time is over.
            OverloadedError: It had to give way.
        """
        try:
            async with asyncio.timeout_at(self._ends_at) as self._waiting:
                return await receive()
        except TimeoutError:
            raise self._error() from None
        finally:
            self._waiting = None

    def give_way(self) -> None:
        """End its time; what has come already may still be read."""
        self._has_given_way = True
        self._ends_at = asyncio.get_running_loop().time()
        if self._waiting is not None:
            self._waiting.reschedule(self._ends_at)

    def _error(self) -> RequestError:
        if self._has_given_way:
            return OverloadedError("Too many request bodies arrive slowly.", reason="bodies")
        return BodyTimeoutError(
            f"The request body did not arrive within {self._timeout_s:g} seconds."
        )


class Bodies:
    """Those that one ingress reads."""

    def __init__(self) -> None:
        self._oldest_first: dict[Body, None] = {}

    def begin(self, timeout_s: float, max_bodies: int) -> Body:
        """Return a body to be read; another may have to give way to it.

        Args:
            timeout_s: Until all of it must have come.
            max_bodies: That are read at the same time.
        """
        while len(self._oldest_first) >= max_bodies:
            oldest = next(iter(self._oldest_first))
            oldest.give_way()
            self.end(oldest)
        body = Body(timeout_s)
        self._oldest_first[body] = None
        return body

    def end(self, body: Body) -> None:
        """Forget a body, if that has not been done yet."""
        self._oldest_first.pop(body, None)


class LimitSlowBodies:
    """Watches the bodies of the requests of a route behind `RecordRequests`."""

    def __init__(self, app: ASGIApp, bodies: Bodies) -> None:
        """Guard an app whose requests are read beside those of others."""
        self.app = app
        self._bodies = bodies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request whose body comes in time.

        Raises:
            BodyTimeoutError: It does not.
            OverloadedError: It had to give way to another one.
        """
        config = scope["app"].state.services.config
        body = self._bodies.begin(config.body_timeout_s, config.max_pending_requests)
        is_read = False

        async def read() -> Message:
            nonlocal is_read
            if is_read:
                return await receive()
            message = await self._next(scope, body, receive)
            is_read = not message.get("more_body", False)
            if is_read:
                self._bodies.end(body)
            return message

        try:
            await self.app(scope, read, send)
        finally:
            self._bodies.end(body)

    async def _next(self, scope: Scope, body: Body, receive: Receive) -> Message:
        try:
            return await body.next(receive)
        except OverloadedError:
            # Like any other that finds no room: a flood would fill the history.
            scope["state"]["recording"].is_wanted = False
            raise
