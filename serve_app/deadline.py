"""When a request has to be over, set once and handed to whoever waits for something."""

import asyncio
import time
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
        ends_at_unix_s: The same in Unix seconds, which other processes have too.
    """

    allowed_s: float
    ends_at: float
    ends_at_unix_s: float

    @classmethod
    def in_seconds(cls, allowed_s: float) -> Self:
        """Return the deadline of a request that begins now."""
        now = asyncio.get_running_loop().time()
        return cls(allowed_s, now + allowed_s, time.time() + allowed_s)

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
