"""Results that are shown in their order, but of which the last one waits for none before it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
Item = TypeVar("Item")


async def overtaking(
    items: AsyncIterator[Item], make: Callable[[Item], Coroutine[Any, Any, T]]
) -> AsyncGenerator[T]:
    """Yield what is made of items, all of which are made at the same time.

    In the order of the items; once the last one is made, what is not made of those before it is
    left out. What is left out, or not made when the generator is closed, is cancelled.

    Args:
        items: Whose end says which was the last.
        make: What it raises of an item that is not left out is raised here.
    """
    making: list[asyncio.Task[T]] = []
    # Set whenever there may be something to show.
    news = asyncio.Event()

    async def start_all() -> None:
        async for item in items:
            task = asyncio.create_task(make(item))
            task.add_done_callback(lambda _: news.set())
            making.append(task)

    reading = asyncio.create_task(start_all())
    reading.add_done_callback(lambda _: news.set())
    num_shown = 0
    try:
        while not (reading.done() and num_shown == len(making)):
            await news.wait()
            news.clear()
            if reading.done():
                reading.result()
                if making and making[-1].done():
                    num_shown = max(num_shown, len(making) - 1)
            while num_shown < len(making) and making[num_shown].done():
                yield making[num_shown].result()
                num_shown += 1
    finally:
        for task in (reading, *making):
            task.cancel()
        await asyncio.gather(reading, *making, return_exceptions=True)
