"""Requests that a client may repeat without having them done twice, under a key of its own.

Only a success is kept, for `TTL_S` and as long as a caller's newest answers fit `MAX_KEPT_BYTES`.
Any other answer frees the key, as does the end of a process, once its lease has run out: the next
repetition is then the first request again. Whoever comes while the first is running waits for it,
in whatever process; the row in the database is all that they share, so their clocks must agree to
within a few seconds.
"""

import asyncio
import logging
import random
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass

from sqlalchemy import ColumnElement, Delete, RowMapping, delete, func, select, update

from serve_app.errors import OverloadedError
from serve_app.records.database import Database
from serve_app.records.stored_answers import (
    StoredAnswer,
    headers_as_text,
    headers_of_text,
    packed,
    unpacked,
)
from serve_app.records.tables import idempotency

logger = logging.getLogger(__name__)

MAX_KEY_CHARACTERS = 255
TTL_S = 24 * 3600
# Ten pictures of 2048 x 2048 in base64 are about as much. What is longer is not kept.
MAX_BODY_BYTES = 128 * 1024 * 1024
# Of one caller's answers, as they are stored; the oldest make room for the new ones.
MAX_KEPT_BYTES = 1024 * 1024 * 1024

LEASE_S = 15.0
FIRST_PAUSE_S = 0.05
MAX_PAUSE_S = 1.0

NO_ANSWER = {"status_code": None, "headers": None, "body": None}


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """A request that came with an `Idempotency-Key`.

    Attributes:
        caller: Whose key it is: the same text from another caller is another key.
        key: The client's text.
        fingerprint: Of what the request asks for.
        request_id: `req_…`.
    """

    caller: str
    key: str
    fingerprint: str
    request_id: str


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to answer a request first.

    Attributes:
        request: The request.
        owner: Tells this claim from those before and after it.
    """

    request: KeyedRequest
    owner: str


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The key belongs to another request."""


class Idempotency:
    """The keys in use, and the answers that were given under them."""

    def __init__(
        self,
        database: Database,
        clock: Callable[[], float] = time.time,
        lease_s: float = LEASE_S,
    ) -> None:
        self._database = database
        self._clock = clock
        self._lease_s = lease_s

    async def begin(self, request: KeyedRequest) -> Claim | StoredAnswer | Mismatch:
        """Return what is to be done with a request, after waiting for the first of its key.

        Whoever gets a claim does the work in a `held` block. How long to wait is the caller's to
        decide, by `asyncio.timeout`.

        Raises:
            OverloadedError: The database does not answer, so that the promise cannot be kept.
        """
        pauses = _pauses()
        while True:
            row = await self._find(request)
            if row is None:
                claim = await self._claim(request)
                if claim is not None:
                    return claim
            elif row["fingerprint"] != request.fingerprint:
                return Mismatch()
            elif row["status_code"] is not None:
                return await _answer(row)
            await asyncio.sleep(next(pauses))

    @asynccontextmanager
    async def held(self, claim: Claim) -> AsyncIterator[None]:
        """Keep a claim for the length of the block; without `finish` in it, free the key after."""
        renewal = asyncio.create_task(self._renew_forever(claim))
        try:
            yield
        finally:
            renewal.cancel()
            await asyncio.wait([renewal])
            await self._release(claim)

    async def finish(self, claim: Claim, answer: StoredAnswer) -> bool:
        """Keep an answer for whoever repeats the request, if it is a success; return whether it is.

        An answer that the database does not take, or that is too long, is not kept; it is as good
        for its own client.
        """
        if not 200 <= answer.status_code < 300:
            return False
        if len(answer.body) > MAX_BODY_BYTES:
            logger.warning("the answer of %s is too long to be repeated", answer.request_id)
            return False
        values = {
            "held_until_ms": self._in_ms(TTL_S),
            "status_code": answer.status_code,
            "headers": headers_as_text(answer.headers),
            "body": await asyncio.to_thread(packed, answer.body),
        }
        if not await self._update(claim, values):
            logger.error("the answer of %s was not kept to be repeated", answer.request_id)
            return False
        with suppress(OverloadedError):
            await self._database.change(_without_room(claim.request.caller))
        return True

    async def _find(self, request: KeyedRequest) -> RowMapping | None:
        query = select(idempotency).where(*_is_row_of(request), ~self._is_free_for(request))
        rows = await self._database.rows(query)
        return rows[0] if rows else None

    async def _claim(self, request: KeyedRequest) -> Claim | None:
        """Take a key that is free; None when another was faster."""
        claim = Claim(request, secrets.token_hex(16))
        row = {**asdict(request), "owner": claim.owner, "held_until_ms": self._in_ms(self._lease_s)}
        insert = self._database.insert(idempotency).values({**row, **NO_ANSWER})
        taken = insert.on_conflict_do_update(
            index_elements=list(idempotency.primary_key),
            set_={name: insert.excluded[name] for name in {**row, **NO_ANSWER}},
            where=self._is_free_for(request),
        )
        taking = asyncio.create_task(self._database.change(taken))
        try:
            return claim if await asyncio.shield(taking) else None
        except asyncio.CancelledError:
            # It will be taken all the same, and nobody would know.
            with suppress(OverloadedError):
                await taking
            await self._release(claim)
            raise

    async def _renew_forever(self, claim: Claim) -> None:
        while True:
            await asyncio.sleep(self._lease_s / 3)
            try:
                await self._update(claim, {"held_until_ms": self._in_ms(self._lease_s)})
            except Exception:
                # The next try comes before the lease is over.
                logger.exception("the lease of %s was not renewed", claim.request.request_id)

    async def _update(self, claim: Claim, values: dict[str, object]) -> bool:
        """Change the row of a claim and return whether it is still that claim's."""
        query = update(idempotency).where(*_is_unanswered(claim)).values(values)
        with suppress(OverloadedError):
            return await self._database.change(query) > 0
        return False

    async def _release(self, claim: Claim) -> None:
        # Where the database is away the lease runs out by itself.
        with suppress(OverloadedError):
            await self._database.change(delete(idempotency).where(*_is_unanswered(claim)))

    def _is_free_for(self, request: KeyedRequest) -> ColumnElement[bool]:
        """Whether nobody holds a key but, perhaps, a process that died of this very request.

        The request then comes again under its id, from the proxy.
        """
        is_over = idempotency.c.held_until_ms <= self._in_ms(0)
        is_own = idempotency.c.request_id == request.request_id
        return is_over | (is_own & idempotency.c.status_code.is_(None))

    def _in_ms(self, seconds: float) -> int:
        """Return the time so many seconds from now."""
        return int((self._clock() + seconds) * 1000)


def _is_row_of(request: KeyedRequest) -> tuple[ColumnElement[bool], ...]:
    return idempotency.c.caller == request.caller, idempotency.c.key == request.key


def _is_unanswered(claim: Claim) -> tuple[ColumnElement[bool], ...]:
    is_owned = idempotency.c.owner == claim.owner
    return *_is_row_of(claim.request), is_owned, idempotency.c.status_code.is_(None)


def _without_room(caller: str) -> Delete:
    """Return the deletion of a caller's oldest answers, those beyond `MAX_KEPT_BYTES`."""
    newest_first = idempotency.c.held_until_ms.desc(), idempotency.c.key
    num_bytes = func.sum(func.length(idempotency.c.body)).over(order_by=newest_first)
    is_answer = (idempotency.c.caller == caller) & idempotency.c.status_code.is_not(None)
    kept = select(idempotency.c.key, num_bytes.label("num_bytes")).where(is_answer).subquery()
    beyond = select(kept.c.key).where(kept.c.num_bytes > MAX_KEPT_BYTES)
    return delete(idempotency).where(is_answer, idempotency.c.key.in_(beyond))


async def _answer(row: RowMapping) -> StoredAnswer:
    body = await asyncio.to_thread(unpacked, row["body"])
    headers = headers_of_text(row["headers"])
    return StoredAnswer(row["request_id"], row["status_code"], headers, body)


def _pauses() -> Iterator[float]:
    """Yield the pauses between two looks, in seconds: longer and longer, and never in step."""
    pause_s = FIRST_PAUSE_S
    while True:
        yield pause_s * random.uniform(0.5, 1)  # noqa: S311 - jitter
        pause_s = min(pause_s * 1.5, MAX_PAUSE_S)
