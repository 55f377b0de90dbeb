"""The Limiter as a Serve deployment of one replica: what it knows is in its memory."""

from serve_app.config import LimitsConfig
from serve_app.deployments.logs import log_through_serve
from serve_app.limits.ledger import Ledger
from serve_app.limits.meters import limits_of
from serve_app.limits.protocol import Answer, Ask, Crowd, Presence


class Limiter:
    """Decides on the requests of all ingresses; coroutines, so that it does so one at a time."""

    def __init__(self, limits: LimitsConfig) -> None:
        log_through_serve()
        self._ledger = Ledger(limits_of(limits))

    async def answer(self, ask: Ask) -> Answer:
        """Decide on the requests of one key."""
        return self._ledger.answer(ask)

    async def renew(self, presence: Presence) -> Crowd:
        """Keep an ingress and its running requests in mind."""
        return self._ledger.renew(presence)

    async def release(self, key: str, slot: str) -> None:
        """Note that a request does not run any more."""
        self._ledger.release(key, slot)
