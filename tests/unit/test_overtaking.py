"""What is shown comes in its order, and the last one does not wait."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from serve_app.overtaking import overtaking


class Kitchen:
    """Makes what it is told, when it is told."""

    def __init__(self, num_items: int, fails_after: int | None = None) -> None:
        self._num_items, self._fails_after = num_items, fails_after
        self.made: list[asyncio.Event] = [asyncio.Event() for _ in range(num_items)]
        self.cancelled: list[int] = []
        self.started: list[int] = []
        self.goes_on = asyncio.Event()
        self.goes_on.set()

    async def items(self) -> AsyncGenerator[int]:
        for index in range(self._num_items):
            await self.goes_on.wait()
            if index == self._fails_after:
                raise ConnectionError
            yield index
            await asyncio.sleep(0)

    async def make(self, index: int) -> str:
        self.started.append(index)
        try:
            await self.made[index].wait()
        except asyncio.CancelledError:
            self.cancelled.append(index)
            raise
        return f"{index}"

    def shown(self) -> AsyncGenerator[str]:
        return overtaking(self.items(), self.make)


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_what_is_made_in_time_is_shown_in_order() -> None:
    kitchen = Kitchen(3)
    for event in reversed(kitchen.made):
        event.set()
        await settled()
    assert [one async for one in kitchen.shown()][-1] == "2"


async def test_an_item_is_shown_before_the_next_one_comes() -> None:
    kitchen = Kitchen(2)
    shown = kitchen.shown()
    kitchen.made[0].set()
    first = asyncio.create_task(anext(shown))
    await settled()
    kitchen.goes_on.clear()
    assert await first == "0"
    kitchen.goes_on.set()
    kitchen.made[1].set()
    assert [one async for one in shown] == ["1"]


async def test_all_are_made_at_the_same_time() -> None:
    kitchen = Kitchen(3)
    shown = kitchen.shown()
    first = asyncio.create_task(anext(shown))
    await settled()
    assert kitchen.started == [0, 1, 2]
    kitchen.made[1].set()
    await settled()
    assert not first.done()
    kitchen.made[0].set()
    assert await first == "0"
    assert await anext(shown) == "1"
    await shown.aclose()


async def test_the_last_one_waits_for_none_and_cancels_the_others() -> None:
    kitchen = Kitchen(3)
    shown = kitchen.shown()
    first = asyncio.create_task(anext(shown))
    await settled()
    kitchen.made[2].set()
    assert await first == "2"
    assert [one async for one in shown] == []
    assert kitchen.cancelled == [0, 1]


async def test_closing_it_cancels_what_is_being_made() -> None:
    kitchen = Kitchen(2)
    shown = kitchen.shown()
    first = asyncio.create_task(anext(shown))
    await settled()
    kitchen.made[0].set()
    await first
    await shown.aclose()
    assert kitchen.cancelled == [1]


async def test_nothing_of_nothing() -> None:
    assert [one async for one in Kitchen(0).shown()] == []


async def test_what_the_items_raise_is_raised() -> None:
    kitchen = Kitchen(3, fails_after=1)
    with pytest.raises(ConnectionError):
        _ = [one async for one in kitchen.shown()]
    assert kitchen.cancelled == [0]


async def test_what_making_raises_is_raised() -> None:
    async def fail(index: int) -> str:
        raise ValueError(index)

    with pytest.raises(ValueError, match="0"):
        _ = [one async for one in overtaking(Kitchen(1).items(), fail)]
