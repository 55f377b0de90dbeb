"""The one thread of a stage: its device is one, so its calls run one at a time."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from queue import PriorityQueue
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


@dataclass(frozen=True, slots=True, order=True)
class _Call:
    """What waits; the smallest goes first."""

    can_wait: bool
    number: int
    work: Callable[[], None] = field(compare=False)


class StageThread:
    """Runs calls in the order they came, but those that can wait after all that cannot."""

    def __init__(self, name: str) -> None:
        self._numbers = count()
        self._waiting: PriorityQueue[_Call] = PriorityQueue()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    async def run(self, work: Callable[[*Ts], T], *arguments: *Ts, can_wait: bool = False) -> T:
        """Return what the work returns; cancelled before its turn, it does not run.

        Args:
            work: Called in the thread; what it raises is raised here.
            arguments: Of the work.
            can_wait: Whether it lets every other call go first that cannot wait, whenever that
                comes. A call that runs already is not interrupted.
        """
        future: Future[T] = Future()
        call = _Call(can_wait, next(self._numbers), lambda: _answer(future, work, arguments))
        self._waiting.put(call)
        # One turn for each call, but whoever is first by then takes it.
        self._thread.submit(self._take_turn)
        return await asyncio.wrap_future(future)

    def _take_turn(self) -> None:
        self._waiting.get_nowait().work()


def _answer(future: "Future[Any]", work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(work(*arguments))
    except BaseException as error:  # noqa: BLE001 - as an executor's own future
        future.set_exception(error)
