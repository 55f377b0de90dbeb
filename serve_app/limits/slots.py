"""Who runs at the moment, as far as it was said lately."""

from collections.abc import Iterable

from serve_app.limits.protocol import SLOT_TTL_NS


class Slots:
    """Names that are forgotten when they are not renewed: a killed ingress holds nothing long."""

    def __init__(self) -> None:
        self._ends_at_ns: dict[str, int] = {}

    def renew(self, slots: Iterable[str], now_ns: int) -> None:
        """Hold slots for another while."""
        self._ends_at_ns |= dict.fromkeys(slots, now_ns + SLOT_TTL_NS)

    def release(self, slot: str) -> None:
        """Hold a slot no longer."""
        self._ends_at_ns.pop(slot, None)

    def held(self, now_ns: int) -> list[str]:
        """Return the slots that are held, in order."""
        over = [slot for slot, ends_at_ns in self._ends_at_ns.items() if ends_at_ns <= now_ns]
        for slot in over:
            del self._ends_at_ns[slot]
        return sorted(self._ends_at_ns)
