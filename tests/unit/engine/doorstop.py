"""Keeps an engine in the middle of a job, so that a test knows what it meets."""

import threading

PATIENCE_S = 60


class Doorstop:
    """An `on_step` that keeps the engine in a job's first step until it is taken away.

    Attributes:
        told: What it was called with.
    """

    def __init__(self) -> None:
        self.told: list[tuple[int, int]] = []
        self._reached, self._removed = threading.Event(), threading.Event()

    def __call__(self, num_done: int, num_steps: int) -> None:
        self.told.append((num_done, num_steps))
        self._reached.set()
        assert self._removed.wait(PATIENCE_S)

    def wait(self) -> None:
        assert self._reached.wait(PATIENCE_S)

    def remove(self) -> None:
        self._removed.set()
