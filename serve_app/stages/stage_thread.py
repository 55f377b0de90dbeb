"""The one thread of a stage: its device is one, so its calls run one at a time."""

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from queue import PriorityQueue
from typing import Any, TypeVar, TypeVarTuple

from serve_app.stages.trouble import OnBroken, Trouble, stay, too_large

# A call takes a second or so; a slow CPU gets a minute.
WEDGED_AFTER_S = 60.0

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

    def __init__(self, name: str, on_broken: OnBroken = stay) -> None:
        """Start it; `on_broken` is told, from the thread, that the device is of no more use."""
        self._name = name
        self._trouble = Trouble(on_broken)
        self._began_at: float | None = None
        self._numbers = count()
        self._waiting: PriorityQueue[_Call] = PriorityQueue()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    @property
    def is_healthy(self) -> bool:
        """Whether a call that is made now may be expected to succeed."""
        began_at = self._began_at
        is_wedged = began_at is not None and time.monotonic() - began_at > WEDGED_AFTER_S
        return not is_wedged and not self._trouble.is_of_the_device

    async def run(self, work: Callable[[*Ts], T], *arguments: *Ts, can_wait: bool = False) -> T:
        """Return what the work returns; cancelled before its turn, it does not run.

        Args:
            work: Called in the thread; what it raises is raised here.
            arguments: Of the work.
            can_wait: Whether it lets every other call go first that cannot wait, whenever that
                comes. A call that runs already is not interrupted.
        """
        future: Future[T] = Future()
        call = _Call(can_wait, next(self._numbers), lambda: self._answer(future, work, arguments))
        self._waiting.put(call)
        # One turn for each call, but whoever is first by then takes it.
        self._thread.submit(self._take_turn)
        return await asyncio.wrap_future(future)

    def _take_turn(self) -> None:
        self._waiting.get_nowait().work()

    def _answer(
        self, future: "Future[Any]", work: Callable[..., Any], arguments: tuple[Any, ...]
    ) -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            with self._watched():
                result = work(*arguments)
        except BaseException as error:  # noqa: BLE001 - as an executor's own future
            self._trouble.failed(error)
            future.set_exception(too_large(error, self._name) or error)
        else:
            self._trouble.succeeded()
            future.set_result(result)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Over before the call is answered: who hears the answer finds the stage healthy."""
        self._began_at = time.monotonic()
        try:
            yield
        finally:
            self._began_at = None
