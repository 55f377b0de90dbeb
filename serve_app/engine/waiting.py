"""Jobs that wait, and which of them are first: sorted anew only where something has changed.

Pure Python: no torch, no clock, no thread.
"""

from bisect import insort
from collections.abc import Callable, Iterator, Sequence
from heapq import nsmallest
from math import inf
from operator import itemgetter
from typing import Generic, TypeVar

from serve_app.engine.work import Work

WorkT = TypeVar("WorkT", bound=Work)

# Jobs that are looked at for one step; those behind them wait for another.
MAX_CONSIDERED = 64
# Jobs that one sorting puts in order, so that many may leave before it is done again.
NUM_SORTED = 2 * MAX_CONSIDERED

# Where a job stands in the line: its class, its tenant's round, and its rank in the policy.
Place = tuple[int, int, tuple[float, float]]
PLACE = itemgetter(0)


class Waiting(Generic[WorkT]):
    """The waiting jobs; the places of the front are known, and nobody behind it has a better one.

    While a job only waits, its place may get worse but never better: so those behind the front
    stay there until something else changes, which must be said by `touch` or `unsort`.
    """

    def __init__(
        self,
        place_of: Callable[[WorkT, float], Place],
        holds_until: Callable[[WorkT, float], float],
    ) -> None:
        """Start empty.

        Args:
            place_of: Where a job stands at a time; the lowest is first.
            holds_until: The time at which that gets worse though the job only waits.
        """
        self._place_of, self._holds_until = place_of, holds_until
        # In the order of their arrival, as dictionaries keep it; the values mean nothing.
        self._jobs: dict[WorkT, None] = {}
        self._front: list[tuple[Place, WorkT]] = []
        self._front_holds_until = inf
        # None behind the front stands before this place; None: there is nobody.
        self._back: Place | None = None
        self._unplaced: list[WorkT] = []
        self._is_sorted = True

    def __contains__(self, job: object) -> bool:
        return job in self._jobs

    def __iter__(self) -> Iterator[WorkT]:
        return iter(self._jobs)

    def __len__(self) -> int:
        return len(self._jobs)

    def add(self, job: WorkT) -> None:
        """Let a job wait."""
        self._jobs[job] = None
        self._unplaced.append(job)

    def remove(self, job: WorkT) -> None:
        """Forget a job."""
        del self._jobs[job]
        self._displace(job)

    def touch(self, job: WorkT) -> None:
        """Find a job's place anew, for something has changed about it."""
        self._displace(job)
        self._unplaced.append(job)

    def unsort(self) -> None:
        """Find all places anew."""
        self._is_sorted = False

    def first(self, now: float) -> Sequence[tuple[Place, WorkT]]:
        """Return those to look at now with their places, in order."""
        is_short = self._back is not None and len(self._front) < MAX_CONSIDERED
        if is_short or not self._is_sorted:
            self._sort(now)
        if now > self._front_holds_until:
            self._unplaced = [*(job for _, job in self._front), *self._unplaced]
            self._front, self._front_holds_until = [], inf
        for job in self._unplaced:
            self._insert(job, now)
        self._unplaced = []
        return self._front[:MAX_CONSIDERED]

    def _displace(self, job: WorkT) -> None:
        self._front = [entry for entry in self._front if entry[1] is not job]
        self._unplaced = [other for other in self._unplaced if other is not job]

    def _sort(self, now: float) -> None:
        entries = ((self._place_of(job, now), job) for job in self._jobs)
        self._front = nsmallest(NUM_SORTED, entries, key=PLACE)
        self._back = self._front[-1][0] if len(self._front) < len(self._jobs) else None
        self._front_holds_until = min(
            (self._holds_until(job, now) for _, job in self._front), default=inf
        )
        self._unplaced, self._is_sorted = [], True

    def _insert(self, job: WorkT, now: float) -> None:
        place = self._place_of(job, now)
        if self._back is not None and place >= self._back:
            return
        insort(self._front, (place, job), key=PLACE)
        self._front_holds_until = min(self._front_holds_until, self._holds_until(job, now))
        if len(self._front) > 2 * NUM_SORTED:
            del self._front[NUM_SORTED:]
            self._back = self._front[-1][0]
