"""Keeps an engine in the middle of a job, so that a test knows what it meets."""

import threading

PATIENCE_S = 60


class Doorstop:
    """An `on_step` that keeps the engine in a job's first step until it is taken away."""

    def __init__(self) -> None:
        self._reached, self._removed = threading.Event(), threading.Event()

    def __call__(self, num_done: int, _num_steps: int) -> None:
        if num_done == 1:
            self._reached.set()
            assert self._removed.wait(PATIENCE_S)

    def wait(self) -> None:
        assert self._reached.wait(PATIENCE_S)

    def remove(self) -> None:
        self._removed.set()
