"""Time that only goes forward."""

import time
from collections.abc import Callable

NS_PER_S = 10**9

Clock = Callable[[], int]


class SteadyClock:
    """A clock in nanoseconds that stands still while the one under it goes back.

    When that one leaps forward, this one does too: tokens then come back early, once.
    """

    def __init__(self, clock: Clock = time.monotonic_ns) -> None:
        self._clock = clock
        self._last_ns = clock()
        self._elapsed_ns = 0

    def __call__(self) -> int:
        """Return the time since this clock was made."""
        now_ns = self._clock()
        self._elapsed_ns += max(0, now_ns - self._last_ns)
        self._last_ns = now_ns
        return self._elapsed_ns
