"""How much of a denoiser's work goes before a picture that comes: little, if that is due soon.

Pure Python: no torch, no clock, no thread.
"""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from math import fsum
from typing import Self

from serve_app.messages import Priority

# Work is told apart by when it is due: within so many seconds, the last of them without an end.
DUE_WITHIN_S = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)
NUM_BINS = len(DUE_WITHIN_S) + 1


@dataclass(frozen=True, slots=True)
class Load:
    """Some work, as another picture is sorted before or behind it.

    Attributes:
        priority: Its class.
        due_in_s: Pictures of its class that are due before that go before it; infinite: all that
            are due at some time.
        seconds: Predicted, of its steps.
    """

    priority: Priority
    due_in_s: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Outlook:
    """Predicted seconds of work by class and by when it is due.

    Attributes:
        seconds: For each class, of the work of each of `DUE_WITHIN_S`, and of the rest.
    """

    seconds: tuple[tuple[float, ...], ...]

    @classmethod
    def of(cls, loads: Iterable[Load]) -> Self:
        """Return the outlook on some work."""
        seconds = [[0.0] * NUM_BINS for _ in Priority]
        for load in loads:
            seconds[load.priority][bisect_left(DUE_WITHIN_S, load.due_in_s)] += load.seconds
        return cls(tuple(tuple(of_class) for of_class in seconds))

    @property
    def all_s(self) -> float:
        """Predicted seconds of all the work."""
        return fsum(map(fsum, self.seconds))

    def ahead_s(self, priority: Priority, due_in_s: float) -> float:
        """Return the predicted seconds of what goes before a picture.

        Args:
            priority: Its class: all of a higher one goes before it.
            due_in_s: Of its own class, work that is due before.
        """
        higher_s = fsum(map(fsum, self.seconds[:priority]))
        own, position = self.seconds[priority], bisect_left(DUE_WITHIN_S, due_in_s)
        return higher_s + fsum(own[:position]) + own[position] * part_before(position, due_in_s)


def part_before(position: int, due_in_s: float) -> float:
    """Return the share of the work at a position that is due before, as if spread evenly."""
    if position == len(DUE_WITHIN_S):
        return 1.0
    start_s = DUE_WITHIN_S[position - 1] if position else 0.0
    return max(due_in_s - start_s, 0.0) / (DUE_WITHIN_S[position] - start_s)
