"""Where an ingress's requests wait until they are admitted, whatever becomes of the Limiter.

Most are decided here: by a lease, or by a refusal of a moment ago. The others ask the Limiter, all
of one key in one call; where it does not answer, the ingress's own share of the limits decides.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager, suppress
from functools import partial
from itertools import count
from typing import Any, TypeVar

from serve_app.limits.account import Account
from serve_app.limits.admission import Admission, check_possible, limit_headers, rate_limited
from serve_app.limits.batches import Batches, Refusals
from serve_app.limits.clock import NS_PER_S, Clock, SteadyClock
from serve_app.limits.contact import CALL_TIMEOUT_S, Contact
from serve_app.limits.meters import Amounts
from serve_app.limits.protocol import (
    LEASE_NS,
    SLOT_TTL_NS,
    Answer,
    LimiterCalls,
    Need,
    Presence,
    Refusal,
)

# The first call has to find its way to the Limiter, and nobody waits for it.
FIRST_CALL_TIMEOUT_S = 10.0
RENEWAL_PERIOD_S = SLOT_TTL_NS / NS_PER_S / 4

ANONYMOUS = "anonymous"

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Gate:
    """Admits the requests of one ingress.

    Attributes:
        num_decided_alone: Requests that no Limiter was there to decide on.
    """

    def __init__(
        self, limits: Amounts, limiter: LimiterCalls, clock: Clock = time.monotonic_ns
    ) -> None:
        """Make a gate for some limits; `start` keeps it in touch with the Limiter."""
        self.num_decided_alone = 0
        self._limits = limits
        self._clock = SteadyClock(clock)
        self._contact = Contact(limiter, self._clock)
        self._batches = Batches(self._decide_all)
        self._accounts: dict[str, Account] = {}
        self._id = secrets.token_hex(8)
        self._request_numbers = count()
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def num_keys(self) -> int:
        """How many keys it remembers something of."""
        return len(self._accounts)

    @property
    def limits(self) -> Amounts:
        """What the Limiter goes by, as far as it has said so."""
        said = self._contact.crowd.limits
        return self._limits if said is None else said

    def start(self) -> asyncio.Task[None]:
        """Tell the Limiter from now on that this ingress lives, and what it runs."""
        return self._begin(self._keep_in_touch())

    def check(self, key_id: str | None, num_images: int) -> None:
        """Refuse what is known already to be too much, before anything is spent on it.

        Raises:
            RateLimitedError: The caller has used up a limit.
            InvalidRequestError: No minute has as many images.
        """
        check_possible(self.limits, num_images)
        account, now_ns = self._account(key_id or ANONYMOUS), self._clock()
        refusal = account.standing_refusal(self._need(num_images), now_ns)
        if refusal is not None:
            raise rate_limited(refusal, account.levels(now_ns))

    @asynccontextmanager
    async def admit(self, key_id: str | None, num_images: int) -> AsyncGenerator[Admission]:
        """Hold a request's place among those that run, for the length of the block.

        Raises:
            RateLimitedError: The caller has used up a limit.
            InvalidRequestError: No minute has as many images.
        """
        check_possible(self.limits, num_images)
        account = self._account(key_id or ANONYMOUS)
        need = self._need(num_images)
        refusal = await self._decide(account, need)
        levels = account.levels(self._clock())
        if refusal is not None:
            raise rate_limited(refusal, levels)
        release = partial(self._release, account, need.slot)
        admission = Admission(limit_headers(levels), release)
        try:
            yield admission
        finally:
            await admission.release()

    def _need(self, num_images: int) -> Need:
        return Need(f"{self._id}-{next(self._request_numbers)}", num_images)

    async def _decide(self, account: Account, need: Need) -> Refusal | None:
        now_ns = self._clock()
        if account.spend_lease(need, now_ns):
            return None
        if (refusal := account.standing_refusal(need, now_ns)) is not None:
            return refusal
        decided, index = self._batches.join(account.key, need)
        try:
            # The others of the batch wait for the same.
            return (await asyncio.shield(decided))[index]
        except asyncio.CancelledError:
            # It may still be admitted, and then nobody would end it.
            decided.add_done_callback(lambda _: self._begin(self._release(account, need.slot)))
            raise

    async def _decide_all(self, key: str, needs: tuple[Need, ...]) -> Refusals:
        account = self._account(key)
        try:
            return (await self._ask(account, needs)).refusals
        except ConnectionError:
            self.num_decided_alone += len(needs)
            now_ns, crowd = self._clock(), self._contact.crowd
            return tuple(account.decide_alone(need, crowd, now_ns) for need in needs)

    async def _ask(self, account: Account, needs: tuple[Need, ...]) -> Answer:
        answer = await self._exchange(account, needs)
        if answer.is_forgotten:
            account.start_over(self._clock())
            answer = await self._exchange(account, needs)
        return answer

    async def _exchange(self, account: Account, needs: tuple[Need, ...]) -> Answer:
        asked_at_ns = self._clock()
        ask = account.ask(self._id, needs, asked_at_ns)
        try:
            answer = await self._contact.answer(ask)
        except ConnectionError:
            account.take_back(ask, asked_at_ns)
            raise
        if answer.is_forgotten:
            account.take_back(ask, asked_at_ns)
            return answer
        account.learn(ask, answer, asked_at_ns)
        if answer.lease is not None:
            self._begin(self._give_back(account))
        return answer

    async def _give_back(self, account: Account) -> None:
        """Return what is left of a lease when it is over: other ingresses may need it."""
        await asyncio.sleep(LEASE_NS / NS_PER_S)
        if account.has_unspent(self._clock()):
            with suppress(ConnectionError):
                await self._exchange(account, ())

    async def _release(self, account: Account, slot: str) -> None:
        if slot not in account.slots:
            return
        account.release(slot)
        # Whoever held it may be cancelled; the Limiter is told nevertheless.
        await asyncio.shield(self._begin(self._tell_released(account.key, slot)))

    async def _tell_released(self, key: str, slot: str) -> None:
        with suppress(ConnectionError):
            await self._contact.release(key, slot)

    async def _keep_in_touch(self) -> None:
        timeout_s = FIRST_CALL_TIMEOUT_S
        while True:
            try:
                await self._renew(timeout_s)
            except ConnectionError:
                pass  # until next time, each ingress decides alone
            except Exception:
                logger.exception("the limits could not be renewed")
            await asyncio.sleep(RENEWAL_PERIOD_S)
            timeout_s = CALL_TIMEOUT_S

    async def _renew(self, timeout_s: float) -> None:
        await self._contact.renew(self._presence(), timeout_s)
        # What it does not know, because it was away or is a new one.
        for account in list(self._accounts.values()):
            if account.is_unreported(self._contact.crowd.epoch, self._clock()):
                await self._ask(account, ())

    def _presence(self) -> Presence:
        """Return what runs here, and forget the keys that nobody uses."""
        now_ns = self._clock()
        self._accounts = {
            key: account
            for key, account in self._accounts.items()
            if self._batches.has(key) or not account.is_idle(now_ns)
        }
        slots = {key: tuple(each.slots) for key, each in self._accounts.items() if each.slots}
        return Presence(self._id, slots)

    def _account(self, key: str) -> Account:
        if key not in self._accounts:
            self._accounts[key] = Account(key, self.limits)
        account = self._accounts[key]
        account.limits = self.limits
        return account

    def _begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Do something beside the requests; asyncio itself would not keep it alive."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
