"""The API keys in the database."""

from collections.abc import Iterable
from dataclasses import asdict

from sqlalchemy import RowMapping, func, or_, select, update

from serve_app.messages import Priority
from serve_app.records.database import Database
from serve_app.records.keys import (
    LAST_USED_PRECISION_MS,
    Scope,
    StoredKey,
    hash_of,
    id_of,
    new_key,
)
from serve_app.records.tables import api_keys


class KeyStore:
    """Makes, finds and revokes keys."""

    def __init__(self, database: Database, pepper: bytes) -> None:
        self._database = database
        self._pepper = pepper

    async def create(
        self,
        name: str,
        organisation: str,
        scopes: Iterable[Scope],
        now_ms: int,
        expires_at_ms: int | None = None,
        priority: Priority = Priority.STANDARD,
    ) -> str:
        """Make a key and return it; nobody can see it again.

        Raises:
            OverloadedError: The database did not take it.
        """
        key = new_key()
        stored = StoredKey(
            id=id_of(key.encode()) or "",
            name=name,
            organisation=organisation,
            scopes=frozenset(scopes),
            key_hash=self.hash(key.encode()),
            created_at_ms=now_ms,
            expires_at_ms=expires_at_ms,
            priority=priority,
        )
        await self._database.change(api_keys.insert().values(_as_row(stored)))
        return key

    async def all(self) -> tuple[StoredKey, ...]:
        """Return every key, the newest first.

        Raises:
            OverloadedError: The database did not answer.
        """
        newest_first = select(api_keys).order_by(api_keys.c.created_at_ms.desc(), api_keys.c.id)
        return tuple(_as_key(row) for row in await self._database.rows(newest_first))

    async def find(self, key_id: str, timeout_s: float | None = None) -> StoredKey | None:
        """Return what there is of a key, whether or not it still works.

        Raises:
            OverloadedError: The database did not answer.
        """
        query = select(api_keys).where(api_keys.c.id == key_id)
        rows = await self._database.rows(query, timeout_s)
        return _as_key(rows[0]) if rows else None

    async def revoke(self, key_id: str, now_ms: int) -> bool:
        """Make a key useless and return whether there is such a key.

        Raises:
            OverloadedError: The database did not take it.
        """
        revoked_at_ms = func.coalesce(api_keys.c.revoked_at_ms, now_ms)
        query = update(api_keys).where(api_keys.c.id == key_id)
        return await self._database.change(query.values(revoked_at_ms=revoked_at_ms)) > 0

    async def touch(self, key_id: str, now_ms: int) -> None:
        """Note that a key was used, unless that was noted within the hour.

        Raises:
            OverloadedError: The database did not take it.
        """
        noted = api_keys.c.last_used_at_ms
        is_due = or_(noted.is_(None), noted <= now_ms - LAST_USED_PRECISION_MS)
        query = update(api_keys).where(api_keys.c.id == key_id, is_due)
        await self._database.change(query.values(last_used_at_ms=now_ms))

    def hash(self, key: bytes) -> bytes:
        """Return what the database keeps in a key's place."""
        return hash_of(key, self._pepper)


def _as_row(key: StoredKey) -> dict[str, object]:
    scopes = " ".join(sorted(key.scopes))
    return {**asdict(key), "scopes": scopes, "priority": key.priority.value}


def _as_key(row: RowMapping) -> StoredKey:
    # A scope that this version does not know allows nothing here.
    scopes = frozenset(scope for scope in Scope if scope in row["scopes"].split())
    return StoredKey(**{**row, "scopes": scopes, "priority": Priority(row["priority"])})
