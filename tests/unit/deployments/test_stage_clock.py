"""What a call waited and what it worked is told apart."""

import asyncio
import time
from contextvars import ContextVar

import pytest

from serve_app.deployments.stage_clock import StageClock
from serve_app.spent import Spent
from serve_app.stages.stage_thread import StageThread

WORK_S = 0.05

current: ContextVar[str] = ContextVar("current")


async def timed_call(clock: StageClock, thread: StageThread) -> Spent:
    with clock.timing("decode") as timing:
        await thread.run(timing.timed(time.sleep), WORK_S)
    return timing.spent


async def test_the_second_of_two_calls_waits_for_the_first() -> None:
    clock, thread = StageClock(), StageThread("test")
    first, second = await asyncio.gather(timed_call(clock, thread), timed_call(clock, thread))
    assert min(first.decode_s, second.decode_s) >= WORK_S
    assert second.queue_s >= WORK_S
    assert first.queue_s < second.queue_s
    assert first.encode_s == first.denoise_s == 0


async def test_what_is_not_told_apart_is_work() -> None:
    with StageClock().timing("store") as timing:
        await asyncio.sleep(WORK_S)
    assert timing.spent.store_s >= WORK_S
    assert timing.spent.queue_s == 0


async def test_the_thread_knows_whose_call_it_runs() -> None:
    current.set("req_1")
    with StageClock().timing("decode") as timing:
        assert await StageThread("test").run(timing.timed(current.get)) == "req_1"


async def test_what_a_call_raises_is_raised() -> None:
    with pytest.raises(ZeroDivisionError), StageClock().timing("decode") as timing:
        await StageThread("test").run(timing.timed(divmod), 1, 0)
