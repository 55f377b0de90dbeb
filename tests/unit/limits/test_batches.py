"""Requests that come while others are asked for are asked for together."""

import asyncio

import pytest

from serve_app.limits.batches import Batches, Refusals
from serve_app.limits.meters import Meter
from serve_app.limits.protocol import Need, Refusal

REFUSAL = Refusal(Meter.IMAGES, 9, 1)


class Decider:
    """Refuses nine images; decides when it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []
        self.may_go = asyncio.Event()
        self.failure: Exception | None = None
        self.batches = Batches(self)

    async def __call__(self, key: str, needs: tuple[Need, ...]) -> Refusals:
        self.asked.append((key, len(needs)))
        await self.may_go.wait()
        if self.failure is not None:
            raise self.failure
        return tuple(REFUSAL if need.num_images == 9 else None for need in needs)

    async def decide(self, key: str, num_images: int) -> Refusal | None:
        decided, index = self.batches.join(key, Need("slot", num_images))
        return (await decided)[index]


def start(decider: Decider, key: str, *num_images: int) -> asyncio.Future[list[Refusal | None]]:
    return asyncio.gather(*(decider.decide(key, n) for n in num_images))


async def test_each_gets_its_own_decision() -> None:
    decider = Decider()
    decider.may_go.set()
    assert await start(decider, "kr_a", 1, 9, 2) == [None, REFUSAL, None]
    assert decider.asked == [("kr_a", 3)]


async def test_whoever_comes_while_others_are_asked_for_waits_for_the_next_call() -> None:
    decider = Decider()
    first = start(decider, "kr_a", 1)
    await asyncio.sleep(0.01)
    second, third = start(decider, "kr_a", 9, 1), start(decider, "kr_a", 9)
    await asyncio.sleep(0.01)
    assert decider.asked == [("kr_a", 1)]
    decider.may_go.set()
    assert await first == [None]
    assert await second == [REFUSAL, None]
    assert await third == [REFUSAL]
    assert decider.asked == [("kr_a", 1), ("kr_a", 3)]


async def test_one_key_does_not_wait_for_another() -> None:
    decider = Decider()
    both = asyncio.gather(start(decider, "kr_a", 1), start(decider, "kr_b", 1))
    await asyncio.sleep(0.01)
    assert decider.asked == [("kr_a", 1), ("kr_b", 1)]
    decider.may_go.set()
    await both


async def test_a_failure_reaches_all_and_harms_nobody_after_them() -> None:
    decider = Decider()
    decider.failure = ValueError("bug")
    first = [asyncio.ensure_future(decider.decide("kr_a", 1)) for _ in range(2)]
    await asyncio.sleep(0.01)
    second = start(decider, "kr_a", 1)
    decider.may_go.set()
    for each in first:
        with pytest.raises(ValueError, match="bug"):
            await each
    decider.failure = None
    assert await second == [None]


async def test_nothing_is_kept_of_what_is_decided() -> None:
    decider = Decider()
    waiting = start(decider, "kr_a", 1)
    await asyncio.sleep(0.01)
    assert decider.batches.has("kr_a")
    decider.may_go.set()
    await waiting
    assert not decider.batches.has("kr_a")
