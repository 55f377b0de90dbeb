"""Keys in the database: their secrets never get there."""

from pathlib import Path

import pytest
from sqlalchemy import update

from serve_app.records.database import Database
from serve_app.records.key_store import KeyStore
from serve_app.records.keys import LAST_USED_PRECISION_MS, Scope, StoredKey
from serve_app.records.tables import api_keys
from tests.unit.records.conftest import NOW_MS

PEPPER = b"pepper" * 8


@pytest.fixture
def keys(database: Database) -> KeyStore:
    return KeyStore(database, PEPPER)


async def only_key(keys: KeyStore) -> StoredKey:
    (key,) = await keys.all()
    return key


async def test_a_key_is_found_as_it_was_made(keys: KeyStore) -> None:
    key = await keys.create("alice", "acme", [Scope.EDIT, Scope.GENERATE], NOW_MS, NOW_MS + 1)
    stored = await keys.find(key[:11])
    assert stored == StoredKey(
        id=key[:11],
        name="alice",
        organisation="acme",
        scopes=frozenset({Scope.GENERATE, Scope.EDIT}),
        key_hash=keys.hash(key.encode()),
        created_at_ms=NOW_MS,
        expires_at_ms=NOW_MS + 1,
    )
    assert await keys.find("kr_nothere1") is None


async def test_its_secret_is_in_no_file(keys: KeyStore, file: Path) -> None:
    key = await keys.create("alice", "acme", Scope, NOW_MS)
    written = b"".join(part.read_bytes() for part in file.parent.glob("records.db*"))
    assert key[:11].encode() in written, "the search finds what is there"
    assert key[12:24].encode() not in written
    assert PEPPER not in written


async def test_an_organisation_has_as_many_keys_as_it_likes(keys: KeyStore) -> None:
    for index in range(3):
        await keys.create(f"key {index}", "acme", Scope, NOW_MS + index)
    assert [key.name for key in await keys.all()] == ["key 2", "key 1", "key 0"]


async def test_a_key_is_revoked_once_and_for_good(keys: KeyStore) -> None:
    key_id = (await keys.create("alice", "acme", Scope, NOW_MS))[:11]
    other_id = (await keys.create("bob", "acme", Scope, NOW_MS))[:11]
    assert await keys.revoke(key_id, NOW_MS + 1)
    assert await keys.revoke(key_id, NOW_MS + 2)
    assert not await keys.revoke("kr_nothere1", NOW_MS)
    revoked, other = await keys.find(key_id), await keys.find(other_id)
    assert revoked is not None
    assert other is not None
    assert (revoked.revoked_at_ms, other.revoked_at_ms) == (NOW_MS + 1, None)


async def test_the_last_use_is_noted_once_an_hour(keys: KeyStore) -> None:
    key_id = (await keys.create("alice", "acme", Scope, NOW_MS))[:11]
    seen: list[int | None] = []
    for later_ms in (0, 1, LAST_USED_PRECISION_MS - 1, LAST_USED_PRECISION_MS):
        await keys.touch(key_id, NOW_MS + later_ms)
        seen.append((await only_key(keys)).last_used_at_ms)
    assert seen == [NOW_MS, NOW_MS, NOW_MS, NOW_MS + LAST_USED_PRECISION_MS]


async def test_a_scope_of_another_version_allows_nothing(
    keys: KeyStore, database: Database
) -> None:
    await keys.create("alice", "acme", Scope, NOW_MS)
    await database.change(update(api_keys).values(scopes="images:edit videos:generate"))
    assert (await only_key(keys)).scopes == {Scope.EDIT}
