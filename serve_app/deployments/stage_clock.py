"""What a stage's call took: for Prometheus, for the answer's `Server-Timing`, for the trace."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from typing import Literal, TypeVar, TypeVarTuple

from serve_app.deployments.stage_metrics import StageMetrics
from serve_app.spent import Spent
from serve_app.tracing import span

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

StageName = Literal["encode", "encode_image", "denoise", "decode", "write", "store"]


@dataclass(slots=True)
class Timing:
    """One call of a stage.

    Attributes:
        stage: Which.
        started_at: On the clock of `time.perf_counter`.
        worked_s: Seconds of work in it; None: it does nothing else.
    """

    stage: StageName
    started_at: float
    worked_s: float | None = None

    @property
    def spent(self) -> Spent:
        """What it took until now: the work, and the rest, which is waiting."""
        elapsed_s = time.perf_counter() - self.started_at
        worked_s = elapsed_s if self.worked_s is None else self.worked_s
        return Spent(queue_s=max(elapsed_s - worked_s, 0.0), **{f"{self.stage}_s": worked_s})

    def timed(self, work: Callable[[*Ts], T]) -> Callable[[*Ts], T]:
        """Return the same work, for another thread: it notes here how many seconds it takes.

        What it logs has the request's id, as the context goes with it.
        """
        context = copy_context()

        def run(*arguments: *Ts) -> T:
            started_at = time.perf_counter()
            try:
                return context.run(work, *arguments)
            finally:
                self.worked_s = time.perf_counter() - started_at

        return run


class StageClock:
    """Times the calls of a replica."""

    def __init__(self) -> None:
        self._metrics = StageMetrics()

    @contextmanager
    def timing(self, stage: StageName, **attributes: str | int) -> Iterator[Timing]:
        """Time the block, if nothing is raised in it; the attributes are for its span."""
        with span(stage, **attributes) as current:
            timing = Timing(stage, time.perf_counter())
            yield timing
            spent = timing.spent
            worked_s = spent.total_s - spent.queue_s
            self._metrics.observe(stage, worked_s, spent.queue_s)
            if current is not None:
                current.set_attribute("krea_serve.queue_s", spent.queue_s)
