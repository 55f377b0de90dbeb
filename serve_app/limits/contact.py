"""Calls to a Limiter that may be gone: short, and not tried again at once."""

import asyncio
import logging
from collections.abc import Awaitable
from typing import TypeVar

from serve_app.limits.clock import NS_PER_S, Clock
from serve_app.limits.protocol import Answer, Ask, Crowd, LimiterCalls, Presence

# A call takes a few milliseconds, and many times that where the cores are busy.
CALL_TIMEOUT_S = 0.25
# A Limiter that did not answer is left alone for so long, lest every request wait for it.
SILENCE_NS = NS_PER_S

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Contact:
    """One ingress's way to the Limiter; every method raises `ConnectionError` without an answer.

    Attributes:
        crowd: What the Limiter last said of the ingresses.
    """

    def __init__(self, limiter: LimiterCalls, clock: Clock) -> None:
        self.crowd = Crowd()
        self._limiter = limiter
        self._clock = clock
        self._is_answered = True
        self._silent_until_ns = 0

    async def answer(self, ask: Ask) -> Answer:
        """Return the Limiter's answer to a question."""
        self._check_silence()
        answer = await self._called(self._limiter.answer(ask), CALL_TIMEOUT_S)
        self.crowd = answer.crowd
        return answer

    async def renew(self, presence: Presence, timeout_s: float) -> None:
        """Tell that this ingress lives, and what it runs."""
        self.crowd = await self._called(self._limiter.renew(presence), timeout_s)

    async def release(self, key: str, slot: str) -> None:
        """Tell that a request does not run any more."""
        self._check_silence()
        await self._called(self._limiter.release(key, slot), CALL_TIMEOUT_S)

    def _check_silence(self) -> None:
        if self._clock() < self._silent_until_ns:
            raise ConnectionError("The Limiter did not answer a moment ago.")

    async def _called(self, call: Awaitable[T], timeout_s: float) -> T:
        try:
            async with asyncio.timeout(timeout_s):
                answer = await call
        except (TimeoutError, ConnectionError) as error:
            self._note_silence(error)
            raise ConnectionError("The Limiter does not answer.") from error
        if not self._is_answered:
            self._is_answered = True
            logger.info("the Limiter answers again")
        return answer

    def _note_silence(self, error: Exception) -> None:
        self._silent_until_ns = self._clock() + SILENCE_NS
        if self._is_answered:
            self._is_answered = False
            logger.warning(
                "the Limiter does not answer (%r): ingress %d of %d decides by its own share",
                error,
                self.crowd.rank + 1,
                self.crowd.num_ingresses,
            )
