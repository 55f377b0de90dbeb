"""When a request has to be over, set once and handed to whoever waits for something."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self

from serve_app.errors import DeadlineExceededError


@dataclass(frozen=True, slots=True)
class Deadline:
    """The end of a request's time.

    Attributes:
        allowed_s: How long a request may take in all, in seconds.
        ends_at: When that is over, on the event loop's clock.
    """

    allowed_s: float
    ends_at: float

    @classmethod
    def in_seconds(cls, allowed_s: float) -> Self:
        """Return the deadline of a request that begins now."""
        return cls(allowed_s, asyncio.get_running_loop().time() + allowed_s)

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Cancel the block when the time is over.

        Raises:
            DeadlineExceededError: It is.
        """
        try:
            async with asyncio.timeout_at(self.ends_at):
                yield
        except TimeoutError as error:
            raise DeadlineExceededError(
                f"The request did not finish within {self.allowed_s:g} seconds."
            ) from error
