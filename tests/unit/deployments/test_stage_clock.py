"""What a call waited and what it worked is told apart."""

import asyncio
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar

import pytest

from serve_app.deployments.stage_clock import StageClock
from serve_app.spent import Spent
from serve_app.stages.stage_thread import StageThread

WORK_S = 0.05

current: ContextVar[str] = ContextVar("current")


async def timed_call(clock: StageClock, thread: StageThread, work: Callable[[], object]) -> Spent:
    with clock.timing("decode") as timing:
        await thread.run(timing.timed(work))
    return timing.spent


async def test_the_second_of_two_calls_waits_for_the_first() -> None:
    clock, thread, gate = StageClock(), StageThread("test"), threading.Event()
    first = asyncio.create_task(timed_call(clock, thread, gate.wait))
    second = asyncio.create_task(timed_call(clock, thread, object))
    await asyncio.sleep(0)
    both_began_at = time.perf_counter()
    await asyncio.sleep(WORK_S)
    held_s = time.perf_counter() - both_began_at
    gate.set()
    assert (await first).decode_s > 0
    assert (await second).queue_s >= held_s
    assert (await second).encode_s == (await second).denoise_s == 0


async def test_what_is_not_told_apart_is_work() -> None:
    with StageClock().timing("store") as timing:
        await asyncio.sleep(WORK_S)
    assert timing.spent.store_s > 0.9 * WORK_S
    assert timing.spent.queue_s == 0


async def test_the_thread_knows_whose_call_it_runs() -> None:
    current.set("req_1")
    with StageClock().timing("decode") as timing:
        assert await StageThread("test").run(timing.timed(current.get)) == "req_1"


async def test_what_a_call_raises_is_raised() -> None:
    with pytest.raises(ZeroDivisionError), StageClock().timing("decode") as timing:
        await StageThread("test").run(timing.timed(divmod), 1, 0)
