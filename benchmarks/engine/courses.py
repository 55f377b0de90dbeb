"""Loops that run side by side, each on a clock of its own: the processor time of what it does."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace

from benchmarks.engine.loops import Loop
from serve_app.engine.job import Job
from serve_app.engine.runner import Runner


class Course:
    """A loop with the pictures that it is to make.

    Attributes:
        now: On its clock, in seconds from its start.
        latencies_s: Of the pictures that are done, in seconds from the arrival of each.
    """

    def __init__(self, loop: Loop, runner: Runner, jobs: Sequence[Job]) -> None:
        """Start with nothing done.

        Args:
            loop: Which has no pictures.
            runner: Makes its steps; others may use it too.
            jobs: By their arrival, on the loop's clock.
        """
        self.now = 0.0
        self.latencies_s: list[float] = []
        self._loop, self._runner = loop, runner
        self._coming, self._num_jobs = list(jobs), len(jobs)

    @property
    def is_over(self) -> bool:
        """Whether all pictures are done."""
        return len(self.latencies_s) == self._num_jobs

    @property
    def rate(self) -> float:
        """Pictures per second, until now."""
        return len(self.latencies_s) / self.now

    def step(self) -> None:
        """Let the loop choose and run one step, or wait for the next picture if it has none."""
        started = time.thread_time()
        while self._coming and self._coming[0].arrived_at <= self.now:
            self._loop.add(self._coming.pop(0))
        batch = self._loop.pick(self.now)
        if not batch:
            self.now = self._coming[0].arrived_at
            return
        self._run(batch)
        self.now += time.thread_time() - started
        for job in [job for job in batch if job.is_done]:
            self._loop.remove(job)
            self.latencies_s.append(self.now - job.arrived_at)

    def _run(self, batch: Sequence[Job]) -> None:
        started = time.thread_time()
        ran, step_s = self._runner.step(batch), time.thread_time() - started
        # One transformer runs all, so what it took on this clock is what the step took.
        self._loop.learn([replace(one, seconds=step_s) for one in ran])


def run_side_by_side(courses: Iterable[Course]) -> None:
    """Run all to their ends; always the one makes a step that is behind the others.

    So whatever slows the machine for a while slows all of them, for as long on their clocks.
    """
    running = [course for course in courses if not course.is_over]
    while running:
        first = min(running, key=lambda course: course.now)
        first.step()
        if first.is_over:
            running.remove(first)
