"""Suspects of a replica, one after the other: if it dies, who asks knows of which."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeVar

T = TypeVar("T")

# What the caller must know before a suspect begins, if that ends this process.
NEWS_S = 0.1


class Turns:
    """The turns of one replica."""

    def __init__(self) -> None:
        self._one_at_a_time = asyncio.Lock()

    async def taken_by(self, suspect: AsyncGenerator[T]) -> AsyncGenerator[T | None]:
        """Yield None when it is a suspect's turn, and then what it yields."""
        async with self._one_at_a_time:
            yield None
            await asyncio.sleep(NEWS_S)
            async with aclosing(suspect) as items:
                async for item in items:
                    yield item
