"""A stage whose replicas take one call after another, on a virtual clock."""

import heapq
from collections.abc import Sequence


class Station:
    """Replicas that share one queue, first come, first served; calls must come in order of time."""

    def __init__(self, num_replicas: int) -> None:
        self._free_at: list[float] = [0.0] * num_replicas
        self.busy_s = 0.0

    def done_at(self, now: float, seconds: float) -> float:
        """Return when a call is done that comes now and takes so long."""
        begins_at = max(now, self._free_at[0])
        heapq.heapreplace(self._free_at, begins_at + seconds)
        self.busy_s += seconds
        return begins_at + seconds


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that this share of the values does not exceed; 0.0 if there are none."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0
