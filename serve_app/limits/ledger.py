"""The limits of all keys, for all ingresses: what the Limiter deployment holds in its memory."""

import secrets
import time

from serve_app.limits.balance import Balance
from serve_app.limits.clock import Clock, SteadyClock
from serve_app.limits.meters import Amounts
from serve_app.limits.protocol import Answer, Ask, Crowd, Presence
from serve_app.limits.slots import Slots


class Ledger:
    """Decides; knows as much as the ingresses told it, and nothing of an earlier ledger."""

    def __init__(self, limits: Amounts, clock: Clock = time.monotonic_ns) -> None:
        """Start with every key untouched."""
        self._limits = limits
        self._clock = SteadyClock(clock)
        self._epoch = secrets.token_hex(8)
        self._balances: dict[str, Balance] = {}
        self._ingresses = Slots()

    @property
    def num_keys(self) -> int:
        """How many keys it remembers something of."""
        return len(self._balances)

    def change(self, limits: Amounts) -> None:
        """Go by other limits from now on; what was used up counts as before."""
        self._limits = limits
        for balance in self._balances.values():
            balance.limits = limits

    def answer(self, ask: Ask) -> Answer:
        """Decide on the requests of one key, in their order."""
        now_ns = self._clock()
        self._ingresses.renew((ask.ingress_id,), now_ns)
        crowd = self._crowd(ask.ingress_id, now_ns)
        if ask.epoch not in (None, self._epoch):
            return Answer(True, (), None, {}, crowd)
        balance = self._balance(ask.key)
        if ask.unspent is not None:
            balance.put_back(ask.unspent)
        balance.note(ask.spends, now_ns)
        balance.slots.renew(ask.slots, now_ns)
        refusals = tuple(balance.take(need, now_ns) for need in ask.needs)
        decided = zip(ask.needs, refusals, strict=True)
        admitted = [need for need, refusal in decided if refusal is None]
        lease = balance.lend(admitted, now_ns) if admitted else None
        return Answer(False, refusals, lease, balance.levels(now_ns), crowd)

    def renew(self, presence: Presence) -> Crowd:
        """Keep an ingress and its running requests in mind; forget the keys that nobody uses."""
        now_ns = self._clock()
        self._ingresses.renew((presence.ingress_id,), now_ns)
        for key, slots in presence.slots.items():
            self._balance(key).slots.renew(slots, now_ns)
        self._balances = {
            key: balance
            for key, balance in self._balances.items()
            if not balance.is_untouched(now_ns)
        }
        return self._crowd(presence.ingress_id, now_ns)

    def release(self, key: str, slot: str) -> None:
        """Note that a request does not run any more."""
        if key in self._balances:
            self._balances[key].slots.release(slot)

    def _balance(self, key: str) -> Balance:
        if key not in self._balances:
            self._balances[key] = Balance(self._limits)
        return self._balances[key]

    def _crowd(self, ingress_id: str, now_ns: int) -> Crowd:
        present = self._ingresses.held(now_ns)
        return Crowd(self._epoch, present.index(ingress_id), len(present), self._limits)
