"""A sum over the last minute, in integers."""

import heapq

from serve_app.limits.clock import NS_PER_S

# Parts that end within one tick are kept as one: so there are never more than some 1200 of them.
TICK_NS = NS_PER_S // 20


class RollingSum:
    """A sum whose parts leave it, each at its own time (up to one tick later)."""

    def __init__(self) -> None:
        self._parts: dict[int, int] = {}
        self._ticks: list[int] = []
        self._last_tick = 0
        self._total = 0

    def add(self, amount: int, ends_at_ns: int) -> None:
        """Add a part that leaves at `ends_at_ns`."""
        tick = _tick(ends_at_ns)
        if tick not in self._parts:
            heapq.heappush(self._ticks, tick)
            self._last_tick = max(self._last_tick, tick)
        self._parts[tick] = self._parts.get(tick, 0) + amount
        self._total += amount

    def take_out(self, amount: int, ends_at_ns: int) -> None:
        """Take out what is still in it of a part that was added to leave at `ends_at_ns`."""
        tick = _tick(ends_at_ns)
        taken = min(amount, self._parts.get(tick, 0))
        if taken:
            self._parts[tick] -= taken
            self._total -= taken

    def total(self, now_ns: int) -> int:
        """Return the sum now."""
        while self._ticks and self._ticks[0] * TICK_NS <= now_ns:
            self._total -= self._parts.pop(heapq.heappop(self._ticks))
        return self._total

    def is_over_in_ns(self, now_ns: int) -> int:
        """Return the time until every part has left."""
        return self._last_tick * TICK_NS - now_ns if self.total(now_ns) else 0

    def falls_to_in_ns(self, total: int, now_ns: int) -> int:
        """Return the time until the sum is at most `total`, which is not negative."""
        excess = self.total(now_ns) - total
        for tick in sorted(self._ticks):
            if excess <= 0:
                break
            excess -= self._parts[tick]
            if excess <= 0:
                return tick * TICK_NS - now_ns
        return 0

    def parts(self, now_ns: int) -> list[tuple[int, int]]:
        """Return (amount, nanoseconds until it leaves) of each part."""
        self.total(now_ns)
        return [(amount, tick * TICK_NS - now_ns) for tick, amount in self._parts.items() if amount]


def _tick(ends_at_ns: int) -> int:
    return -(-ends_at_ns // TICK_NS)
