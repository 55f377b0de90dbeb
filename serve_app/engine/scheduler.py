"""Which jobs run the next denoising step. Pure Python: no torch, no clock, no thread.

A paused job costs nothing but its latents, so the choice is made anew before every step.
"""

from collections.abc import Sequence
from typing import Generic, TypeVar

JobT = TypeVar("JobT")


class FcfsScheduler(Generic[JobT]):
    """First come, first served: the oldest job runs all its steps, alone."""

    def __init__(self) -> None:
        self._jobs: list[JobT] = []

    @property
    def jobs(self) -> Sequence[JobT]:
        """A copy of the unfinished jobs, oldest first."""
        return tuple(self._jobs)

    def add(self, job: JobT) -> None:
        """Admit a job."""
        self._jobs.append(job)

    def remove(self, job: JobT) -> None:
        """Forget a job that is done, failed or cancelled."""
        self._jobs.remove(job)

    def pick(self) -> Sequence[JobT]:
        """Return the jobs that run the next step; none only when there is none."""
        return self._jobs[:1]
