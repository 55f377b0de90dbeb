"""Tells who sent a request from the key it carries.

What the database says of a key is believed for `FRESH_S`: so long a revoked key still works. While
the database is away, what it said last is believed for `STALE_S`; then nobody is let in.
"""

import asyncio
import hmac
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from serve_app.errors import AuthenticationError, OverloadedError
from serve_app.records.key_store import KeyStore
from serve_app.records.keys import DEFAULT_ORGANISATION, Caller, Scope, StoredKey, id_of

logger = logging.getLogger(__name__)

FRESH_S = 5.0
STALE_S = 600.0
LOOKUP_TIMEOUT_S = 1.0
MAX_REMEMBERED_KEYS = 4096

BOOTSTRAP = Caller("bootstrap", DEFAULT_ORGANISATION, frozenset(Scope))
_NO_HASH = bytes(32)  # that no key has


@dataclass(frozen=True, slots=True)
class _Remembered:
    """What the database said of a key.

    Attributes:
        key: The key.
        said_at_s: When it said so.
        asked_at_s: When it was asked last, with or without an answer.
    """

    key: StoredKey
    said_at_s: float
    asked_at_s: float


class Authenticator:
    """Knows the keys of the database, and the one key that needs no database."""

    def __init__(
        self,
        keys: KeyStore,
        bootstrap_key: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take the key of the environment, if there is one, and a clock in seconds."""
        self._keys = keys
        self._bootstrap_hash = (
            _NO_HASH if bootstrap_key is None else keys.hash(bootstrap_key.encode())
        )
        self._clock = clock
        self._remembered: dict[str, _Remembered] = {}
        self._lookups: dict[str, asyncio.Task[StoredKey | None]] = {}
        self._touches: set[asyncio.Task[None]] = set()

    async def authenticate(self, key: bytes) -> Caller:
        """Return who sent a request with this key.

        Raises:
            AuthenticationError: It is no key of ours, or does not work any more; which of both, is
                not said to the client. The reason is `unknown`, `expired` or `revoked`.
            OverloadedError: It may be one, but the database does not answer.
        """
        # The time this takes must not tell how much of a guess was right.
        key_hash = self._keys.hash(key)
        if hmac.compare_digest(key_hash, self._bootstrap_hash):
            return BOOTSTRAP
        key_id = id_of(key)
        stored = None if key_id is None else await self._find(key_id)
        is_right = hmac.compare_digest(key_hash, _NO_HASH if stored is None else stored.key_hash)
        now_ms = int(self._clock() * 1000)
        # What has the id of a key and not the rest says nothing about the state of that key.
        state = "unknown" if stored is None or not is_right else stored.state(now_ms)
        if stored is None or state != "live":
            raise AuthenticationError(reason=state)
        self._note_use(stored.id, now_ms)
        return stored.caller

    async def close(self) -> None:
        """Wait for what is still being written."""
        await asyncio.gather(*self._touches, return_exceptions=True)

    async def _find(self, key_id: str) -> StoredKey | None:
        now_s = self._clock()
        remembered = self._remembered.get(key_id)
        if remembered is not None and now_s < remembered.asked_at_s + FRESH_S:
            return remembered.key
        # Once for all who want to know the same at the same time.
        lookup = self._lookups.get(key_id)
        if lookup is None:
            lookup = asyncio.create_task(self._look_up(key_id, remembered, now_s))
            lookup.add_done_callback(lambda _: self._lookups.pop(key_id))
            self._lookups[key_id] = lookup
        return await asyncio.shield(lookup)

    async def _look_up(
        self, key_id: str, remembered: _Remembered | None, now_s: float
    ) -> StoredKey | None:
        """Ask the database, and make do with what it said before if it is away."""
        try:
            key = await self._keys.find(key_id, LOOKUP_TIMEOUT_S)
        except OverloadedError:
            if remembered is None or now_s >= remembered.said_at_s + STALE_S:
                raise
            self._remember(key_id, replace(remembered, asked_at_s=now_s))
            return remembered.key
        self._remember(key_id, None if key is None else _Remembered(key, now_s, now_s))
        return key

    def _remember(self, key_id: str, answer: _Remembered | None) -> None:
        # Out and in again: the first ones are those that were not asked for the longest.
        self._remembered.pop(key_id, None)
        if answer is not None:
            self._remembered[key_id] = answer
        if len(self._remembered) > MAX_REMEMBERED_KEYS:
            del self._remembered[next(iter(self._remembered))]

    def _note_use(self, key_id: str, now_ms: int) -> None:
        remembered = self._remembered.get(key_id)
        if remembered is None or not remembered.key.is_use_due(now_ms):
            return
        noted = replace(remembered.key, last_used_at_ms=now_ms)
        self._remembered[key_id] = replace(remembered, key=noted)
        touch = asyncio.create_task(self._touch(key_id, now_ms))
        self._touches.add(touch)
        touch.add_done_callback(self._touches.discard)

    async def _touch(self, key_id: str, now_ms: int) -> None:
        try:
            await self._keys.touch(key_id, now_ms)
        except OverloadedError:
            logger.warning("the last use of key %s was not noted", key_id)
