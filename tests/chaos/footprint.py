"""What processes hold, and how it grows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

import psutil


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a process holds, or by what it has grown.

    Attributes:
        memory: Resident, in bytes.
        files: That are open, sockets included.
        threads: That run or wait.
    """

    memory: float
    files: float
    threads: float

    @classmethod
    def of(cls, process: psutil.Process) -> Self:
        """Return what a process holds now."""
        return cls(process.memory_info().rss, process.num_fds(), process.num_threads())

    def __truediv__(self, other: "Footprint") -> "Footprint":
        """Return how many times as much it is."""
        return Footprint(
            self.memory / other.memory, self.files / other.files, self.threads / other.threads
        )

    @property
    def most(self) -> float:
        """The largest of its figures, of a growth."""
        return max(self.memory, self.files, self.threads)

    def line(self) -> str:
        """Return the figures as text, of a growth."""
        return f"{self.memory:.2f} x memory, {self.files:.2f} x files, {self.threads:.2f} x threads"


def footprints(processes: Iterable[psutil.Process]) -> dict[int, Footprint]:
    """Return what each holds, by its process id."""
    return {each.pid: Footprint.of(each) for each in processes}


def growths(
    before: Mapping[int, Footprint], processes: Iterable[psutil.Process]
) -> list[Footprint]:
    """Return by what each has grown since its footprint was taken."""
    return [Footprint.of(each) / before[each.pid] for each in processes]
