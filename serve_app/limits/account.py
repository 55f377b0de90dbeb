"""What an ingress knows of one key, so that it need not ask for every request."""

from dataclasses import replace

from serve_app.limits.meters import PER_MINUTE, WINDOW_NS, Amounts, Meter, amounts_of
from serve_app.limits.protocol import (
    LEASE_NS,
    UNKNOWN_WAIT_NS,
    Answer,
    Ask,
    Crowd,
    Lease,
    Level,
    Need,
    Refusal,
    Spend,
)
from serve_app.limits.rolling_sum import RollingSum


class Account:
    """One key's lease, the refusals that still stand, and what was admitted here.

    Attributes:
        key: The caller's.
        limits: That it is held to; they may change.
        slots: The requests that run here.
    """

    def __init__(self, key: str, limits: Amounts) -> None:
        self.key = key
        self.slots: set[str] = set()
        self.limits = limits
        self._epoch: str | None = None
        self._lease: Lease | None = None
        self._lease_ends_at_ns = 0
        self._refusals: dict[Meter, tuple[Refusal, int]] = {}
        self._levels: dict[Meter, Level] = {}
        self._levels_at_ns = 0
        # Admitted here, with the Limiter's knowledge and without it.
        self._known = {meter: RollingSum() for meter in PER_MINUTE}
        self._unknown = {meter: RollingSum() for meter in PER_MINUTE}

    def spend_lease(self, need: Need, now_ns: int) -> bool:
        """Admit a request by the lease, if that is enough."""
        if self._lease is None or now_ns >= self._lease_ends_at_ns:
            return False
        amounts = amounts_of(need.num_images)
        left = {meter: left - amounts[meter] for meter, left in self._lease.amounts.items()}
        if min(left.values()) < 0:
            return False
        self._lease = replace(self._lease, amounts=left)
        self._admit(self._known, need, now_ns)
        return True

    def standing_refusal(self, need: Need, now_ns: int) -> Refusal | None:
        """Return the refusal that a request would get again, if it is of late."""
        amounts = amounts_of(need.num_images)
        for meter, (refusal, refused_at_ns) in self._refusals.items():
            age_ns = now_ns - refused_at_ns
            if age_ns < LEASE_NS and amounts[meter] >= refusal.amount:
                return replace(refusal, retry_after_ns=max(1, refusal.retry_after_ns - age_ns))
        return None

    def ask(self, ingress_id: str, needs: tuple[Need, ...], now_ns: int) -> Ask:
        """Return the question about some requests; what it gives away is not here any more."""
        unspent, self._lease = self._lease, None
        spends = tuple(
            Spend(meter, amount, returns_in_ns)
            for meter, spent in self._unknown.items()
            for amount, returns_in_ns in spent.parts(now_ns)
        )
        self._unknown = {meter: RollingSum() for meter in self._unknown}
        slots = tuple(sorted(self.slots))
        return Ask(ingress_id, self.key, self._epoch, needs, slots, unspent, spends)

    def take_back(self, ask: Ask, asked_at_ns: int) -> None:
        """Remember again what a question said that was not heard."""
        _add(self._unknown, ask.spends, asked_at_ns)

    def learn(self, ask: Ask, answer: Answer, asked_at_ns: int) -> None:
        """Take over what the Limiter decided."""
        _add(self._known, ask.spends, asked_at_ns)
        self._epoch = answer.crowd.epoch
        self._levels, self._levels_at_ns = dict(answer.levels), asked_at_ns
        if answer.lease is not None:
            # From the question on, not from the answer: so it ends here before it ends there.
            self._lease, self._lease_ends_at_ns = answer.lease, asked_at_ns + LEASE_NS
        for need, refusal in zip(ask.needs, answer.refusals, strict=True):
            if refusal is None:
                self._admit(self._known, need, asked_at_ns)
            else:
                self._refusals[refusal.meter] = (refusal, asked_at_ns)

    def start_over(self, asked_at_ns: int) -> None:
        """Prepare to tell another Limiter all that was admitted here, for it knows nothing."""
        self._epoch = self._lease = None
        for meter, known in self._known.items():
            for amount, returns_in_ns in known.parts(asked_at_ns):
                self._unknown[meter].add(amount, asked_at_ns + returns_in_ns)
        self._known = {meter: RollingSum() for meter in self._known}

    def decide_alone(self, need: Need, crowd: Crowd, now_ns: int) -> Refusal | None:
        """Decide by this ingress's share of the limits, counting what was admitted here before."""
        amounts = amounts_of(need.num_images)
        missing = [
            Refusal(meter, amounts[meter], UNKNOWN_WAIT_NS)
            for meter, limit in self.limits.items()
            if crowd.share(limit) - self._used(meter, now_ns) < amounts[meter]
        ]
        if not missing:
            self._admit(self._unknown, need, now_ns)
        self._levels, self._levels_at_ns = self._own_levels(crowd, now_ns), now_ns
        return missing[0] if missing else None

    def release(self, slot: str) -> None:
        """Note that a request does not run any more."""
        self.slots.discard(slot)
        self._refusals.pop(Meter.CONCURRENT_REQUESTS, None)

    def levels(self, now_ns: int) -> dict[Meter, Level]:
        """Return how each meter stands, as far as it is known here."""
        return {meter: self._level(meter, level, now_ns) for meter, level in self._levels.items()}

    def has_unspent(self, now_ns: int) -> bool:
        """Whether a lease is over of which something is left."""
        is_over = now_ns >= self._lease_ends_at_ns
        return is_over and self._lease is not None and any(self._lease.amounts.values())

    def is_unreported(self, epoch: str | None, now_ns: int) -> bool:
        """Whether the Limiter of an epoch does not know all that was admitted here."""
        is_other = self._epoch not in (None, epoch)
        sums = (*self._unknown.values(), *(self._known.values() if is_other else ()))
        return any(spent.total(now_ns) for spent in sums)

    def is_idle(self, now_ns: int) -> bool:
        """Whether nothing would be lost with it."""
        sums = (*self._known.values(), *self._unknown.values())
        return not self.slots and not any(spent.total(now_ns) for spent in sums)

    def _admit(self, spent: dict[Meter, RollingSum], need: Need, now_ns: int) -> None:
        amounts = amounts_of(need.num_images)
        for meter in spent:
            spent[meter].add(amounts[meter], now_ns + WINDOW_NS)
        if Meter.CONCURRENT_REQUESTS in self.limits:
            self.slots.add(need.slot)

    def _level(self, meter: Meter, level: Level, now_ns: int) -> Level:
        lent = 0 if self._lease is None else self._lease.amounts.get(meter, 0)
        full_in_ns = level.full_in_ns
        if full_in_ns is not None:
            full_in_ns = max(0, full_in_ns - (now_ns - self._levels_at_ns))
        return Level(level.limit, min(level.limit, level.free + lent), full_in_ns)

    def _own_levels(self, crowd: Crowd, now_ns: int) -> dict[Meter, Level]:
        levels = {}
        for meter, limit in self.limits.items():
            free = max(0, crowd.share(limit) - self._used(meter, now_ns))
            levels[meter] = Level(limit, free, self._full_in_ns(meter, now_ns))
        return levels

    def _used(self, meter: Meter, now_ns: int) -> int:
        """Return what this ingress alone has used up."""
        if meter is Meter.CONCURRENT_REQUESTS:
            return len(self.slots)
        return self._known[meter].total(now_ns) + self._unknown[meter].total(now_ns)

    def _full_in_ns(self, meter: Meter, now_ns: int) -> int | None:
        if meter is Meter.CONCURRENT_REQUESTS:
            return None
        sums = (self._known[meter], self._unknown[meter])
        return max(spent.is_over_in_ns(now_ns) for spent in sums)


def _add(sums: dict[Meter, RollingSum], spends: tuple[Spend, ...], now_ns: int) -> None:
    for spend in spends:
        sums[spend.meter].add(spend.amount, now_ns + spend.returns_in_ns)
