"""Requests of one key that come while others are asked for go to the Limiter together."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from serve_app.limits.protocol import Need, Refusal

Refusals = tuple[Refusal | None, ...]
DecideAll = Callable[[str, tuple[Need, ...]], Awaitable[Refusals]]


@dataclass(slots=True)
class Batch:
    """Requests that are decided together.

    Attributes:
        needs: Of each.
        is_sent: Whether it is too late to join.
        decided: Ends with the decisions, in the order of the needs.
    """

    needs: list[Need] = field(default_factory=list)
    is_sent: bool = False
    decided: asyncio.Task[Refusals] | None = None


class Batches:
    """At most one call per key is under way, and at most one batch waits for its end."""

    def __init__(self, decide_all: DecideAll) -> None:
        self._decide_all = decide_all
        self._last: dict[str, Batch] = {}

    def has(self, key: str) -> bool:
        """Whether requests of a key wait for a decision."""
        return key in self._last

    def join(self, key: str, need: Need) -> tuple[asyncio.Task[Refusals], int]:
        """Return what will end with the decisions, and the place of this one among them."""
        last = self._last.get(key)
        if last is None or last.is_sent:
            batch = self._last[key] = Batch()
            batch.decided = asyncio.get_running_loop().create_task(self._send(key, batch, last))
            last = batch
        assert last.decided is not None
        last.needs.append(need)
        return last.decided, len(last.needs) - 1

    async def _send(self, key: str, batch: Batch, before: Batch | None) -> Refusals:
        if before is not None and before.decided is not None:
            await asyncio.wait((before.decided,))
        batch.is_sent = True
        try:
            return await self._decide_all(key, tuple(batch.needs))
        finally:
            if self._last[key] is batch:
                del self._last[key]
