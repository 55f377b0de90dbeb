"""An answer that is made only once its request has been admitted."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from serve_app.limits.admission import Admission


class AdmittedResponse(Response):
    """Holds a request's place among those that run until its answer is about to end."""

    def __init__(
        self,
        admitting: AbstractAsyncContextManager[Admission],
        make: Callable[[], Awaitable[Response]],
    ) -> None:
        """Wait for a place, and then make the answer."""
        self._admitting = admitting
        self._make = make
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Do the work and send its answer.

        Raises:
            RateLimitedError: The caller has used up a limit.
            InvalidRequestError: The request asks for more than any minute has.
        """
        async with self._admitting as admission:

            async def send_and_release(message: Message) -> None:
                if message["type"] == "http.response.start":
                    MutableHeaders(scope=message).update(admission.headers)
                elif not message.get("more_body", False):
                    await admission.release()
                await send(message)

            response = await self._make()
            await response(scope, receive, send_and_release)
