"""The Limiter as a Serve deployment of one replica: what it knows is in its memory."""

from typing import Any

from serve_app.config import LimitsConfig, LiveLimiterConfig
from serve_app.deployments.live_config import LiveConfig, overridden
from serve_app.deployments.logs import log_through_serve, set_log_level
from serve_app.limits.ledger import Ledger
from serve_app.limits.meters import limits_of
from serve_app.limits.protocol import Answer, Ask, Crowd, Presence


class Limiter:
    """Decides on the requests of all ingresses; coroutines, so that it does so one at a time."""

    def __init__(self, limits: LimitsConfig) -> None:
        log_through_serve()
        self._limits = limits
        self._live_config = LiveConfig("Limiter")
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

    def reconfigure(self, user_config: dict[str, Any] | None) -> None:
        """Take over a `user_config`: the ingresses hear of it with their next call.

        Raises:
            ConfigError: It is the first one, and not valid; a later one leaves all as it is.
        """
        live = self._live_config.read(LiveLimiterConfig, user_config)
        if live is None:
            return
        set_log_level(live.log_level)
        self._ledger.change(limits_of(overridden(self._limits, live.limits)))
