"""Calls that can wait run after all that cannot, and every call is answered."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
import torch

from serve_app.errors import TooLargeForDeviceError
from serve_app.stages import stage_thread
from serve_app.stages.stage_thread import StageThread
from serve_app.stages.trouble import MAX_FAILED_IN_A_ROW


class Gate:
    """Work that holds the thread until it is opened."""

    def __init__(self) -> None:
        self.is_reached = threading.Event()
        self._opened = threading.Event()

    def __call__(self) -> None:
        self.is_reached.set()
        self._opened.wait()

    def open(self) -> None:
        self._opened.set()


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open()


async def held(thread: StageThread, gate: Gate, can_wait: bool = False) -> asyncio.Task[None]:
    task = asyncio.create_task(thread.run(gate, can_wait=can_wait))
    await asyncio.to_thread(gate.is_reached.wait)
    return task


async def test_what_can_wait_lets_all_others_go_first(gate: Gate) -> None:
    thread, ran = StageThread("test"), list[str]()
    running = await held(thread, gate, can_wait=True)
    calls = ["preview 1", "picture 1", "preview 2", "picture 2", "encode", "preview 3"]
    async with asyncio.TaskGroup() as group:
        for name in calls:
            group.create_task(thread.run(ran.append, name, can_wait=name.startswith("preview")))
            await asyncio.sleep(0)
        gate.open()
    await running
    assert ran == ["picture 1", "picture 2", "encode", "preview 1", "preview 2", "preview 3"]


async def test_all_run_in_one_thread_that_is_not_the_event_loops() -> None:
    thread = StageThread("test")
    calls = (thread.run(threading.get_ident, can_wait=index % 2 == 0) for index in range(8))
    idents = set(await asyncio.gather(*calls))
    assert len(idents) == 1
    assert threading.get_ident() not in idents


async def test_what_a_call_raises_reaches_its_caller_only() -> None:
    thread = StageThread("test")
    with pytest.raises(ValueError, match="invalid literal"):
        await thread.run(int, "seven")
    assert await thread.run(int, "7") == 7


async def test_a_call_that_is_cancelled_before_its_turn_does_not_run(gate: Gate) -> None:
    thread, ran = StageThread("test"), list[str]()
    running = await held(thread, gate)
    left = asyncio.create_task(thread.run(ran.append, "left"))
    kept = asyncio.create_task(thread.run(ran.append, "kept"))
    await asyncio.sleep(0)
    left.cancel()
    await asyncio.wait([left])
    gate.open()
    await asyncio.gather(running, kept)
    assert ran == ["kept"]


async def test_a_call_that_does_not_end_makes_it_unhealthy(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread = StageThread("test")
    held_one = await held(thread, gate)
    assert thread.is_healthy
    monkeypatch.setattr(stage_thread, "WEDGED_AFTER_S", -1.0)
    assert not thread.is_healthy
    gate.open()
    await held_one
    assert thread.is_healthy


async def test_calls_that_fail_one_after_the_other_make_it_unhealthy() -> None:
    told = list[str]()
    thread = StageThread("test", told.append)

    def fail() -> None:
        raise ValueError("a bug")

    for num_failed in range(MAX_FAILED_IN_A_ROW):
        assert (thread.is_healthy, told) == (True, []), num_failed
        with pytest.raises(ValueError, match="a bug"):
            await thread.run(fail)
    assert (thread.is_healthy, told) == (False, ["ValueError: a bug"])
    await thread.run(str)
    assert thread.is_healthy


async def test_a_call_without_memory_is_the_client_s_to_make_smaller() -> None:
    def fail() -> None:
        raise torch.OutOfMemoryError("no memory")

    with pytest.raises(TooLargeForDeviceError) as told:
        await StageThread("test").run(fail)
    assert told.value.headers == {"x-should-retry": "false"}
