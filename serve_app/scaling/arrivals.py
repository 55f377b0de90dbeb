"""How much work comes per second, smoothed."""

from math import exp

MEMORY_S = 300.0  # what came so long ago counts 1/e of what comes now


class Arrivals:
    """A mean that forgets exponentially; `now` is of any clock and must not go back."""

    def __init__(self) -> None:
        self._per_s = 0.0
        self._at = 0.0

    def add(self, amount: float, now: float) -> None:
        """Count what comes now."""
        self._per_s = self.per_s(now) + amount / MEMORY_S
        self._at = now

    def per_s(self, now: float) -> float:
        """Return how much comes per second."""
        return self._per_s * exp(-(now - self._at) / MEMORY_S)
