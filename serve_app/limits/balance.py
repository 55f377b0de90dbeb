"""What one key has used up, as the Limiter sees it."""

from collections.abc import Iterable

from serve_app.limits.meters import PER_MINUTE, WINDOW_NS, Amounts, Meter, amounts_of
from serve_app.limits.protocol import (
    LEASE_NS,
    UNKNOWN_WAIT_NS,
    Lease,
    Level,
    Need,
    Refusal,
    Spend,
)
from serve_app.limits.rolling_sum import RollingSum
from serve_app.limits.slots import Slots


class Balance:
    """The tokens of one key: each comes back a minute after it was spent, and never earlier.

    So a whole minute's worth may go at once, and no minute sees more than the limit. A bucket that
    is refilled steadily would let twice as much through in the minute that begins with it full.

    Attributes:
        limits: That it is held to; they may change.
        slots: The requests that run.
    """

    def __init__(self, limits: Amounts) -> None:
        self.limits = limits
        self.slots = Slots()
        # Also of what is not limited now.
        self._used = {meter: RollingSum() for meter in PER_MINUTE}

    def take(self, need: Need, now_ns: int) -> Refusal | None:
        """Take all that a request needs, or nothing of it."""
        amounts = amounts_of(need.num_images)
        missing = [
            Refusal(meter, amounts[meter], self._wait_ns(meter, amounts[meter], now_ns))
            for meter in self.limits
            if self._free(meter, now_ns) < amounts[meter]
        ]
        if missing:
            return max(missing, key=lambda refusal: refusal.retry_after_ns)
        for meter, used in self._used.items():
            used.add(amounts[meter], now_ns + WINDOW_NS)
        if Meter.CONCURRENT_REQUESTS in self.limits:
            self.slots.renew((need.slot,), now_ns)
        return None

    def lend(self, admitted: Iterable[Need], now_ns: int) -> Lease | None:
        """Return tokens for what else may come in a quarter of a second, if there are plenty.

        Where the number of running requests is limited, each has to be asked for anyway.

        Args:
            admitted: The requests that came just now.
            now_ns: The time.
        """
        if Meter.CONCURRENT_REQUESTS in self.limits:
            return None
        taken = [amounts_of(need.num_images) for need in admitted]
        amounts = {
            meter: self._to_spare(meter, now_ns) - sum(each[meter] for each in taken)
            for meter in PER_MINUTE
            if meter in self.limits
        }
        if min(amounts.values(), default=0) <= 0:
            return None
        returns_at_ns = now_ns + LEASE_NS + WINDOW_NS
        for meter, amount in amounts.items():
            self._used[meter].add(amount, returns_at_ns)
        return Lease(returns_at_ns, amounts)

    def put_back(self, lease: Lease) -> None:
        """Take back what was not spent of a lease."""
        for meter, amount in lease.amounts.items():
            self._used[meter].take_out(amount, lease.returns_at_ns)

    def note(self, spends: Iterable[Spend], now_ns: int) -> None:
        """Count what was spent unasked, even where it is too much."""
        for spend in spends:
            self._used[spend.meter].add(spend.amount, now_ns + spend.returns_in_ns)

    def levels(self, now_ns: int) -> dict[Meter, Level]:
        """Return how each meter stands."""
        return {
            meter: Level(limit, max(0, self._free(meter, now_ns)), self._full_in_ns(meter, now_ns))
            for meter, limit in self.limits.items()
        }

    def is_untouched(self, now_ns: int) -> bool:
        """Whether it stands as if it had just been made."""
        return not self.slots.held(now_ns) and not any(
            used.total(now_ns) for used in self._used.values()
        )

    def _free(self, meter: Meter, now_ns: int) -> int:
        if meter is Meter.CONCURRENT_REQUESTS:
            return self.limits[meter] - len(self.slots.held(now_ns))
        return self.limits[meter] - self._used[meter].total(now_ns)

    def _wait_ns(self, meter: Meter, amount: int, now_ns: int) -> int:
        if meter is Meter.CONCURRENT_REQUESTS:
            return UNKNOWN_WAIT_NS
        # An ingress that has not heard of a lower limit may ask for more than all of it.
        return self._used[meter].falls_to_in_ns(max(0, self.limits[meter] - amount), now_ns)

    def _full_in_ns(self, meter: Meter, now_ns: int) -> int | None:
        if meter is Meter.CONCURRENT_REQUESTS:
            return None
        return self._used[meter].is_over_in_ns(now_ns)

    def _to_spare(self, meter: Meter, now_ns: int) -> int:
        limit, free = self.limits[meter], self._free(meter, now_ns)
        # The second half goes to requests that are there, so that none is refused for one to come.
        return limit * LEASE_NS // WINDOW_NS if free > limit // 2 else 0
