"""Who is let in, who is not, and how soon a change is seen."""

import asyncio
import base64
import zlib
from collections.abc import Iterator

import pytest
from sqlalchemy import event

from serve_app.errors import AuthenticationError, OverloadedError
from serve_app.messages import Priority
from serve_app.records import authenticator as authenticator_module
from serve_app.records.authenticator import BOOTSTRAP, FRESH_S, STALE_S, Authenticator
from serve_app.records.database import Database
from serve_app.records.key_store import KeyStore
from serve_app.records.keys import LAST_USED_PRECISION_MS, Caller, Scope, new_key
from tests.unit.records.conftest import NOW_MS, NOW_S, Clock, Outage

BOOTSTRAP_KEY = "sk-krea-ä"


@pytest.fixture
def keys(database: Database) -> KeyStore:
    return KeyStore(database, b"pepper")


@pytest.fixture
def authenticator(keys: KeyStore, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Authenticator:
    # A busy machine must not look like a database that hangs.
    monkeypatch.setattr(authenticator_module, "LOOKUP_TIMEOUT_S", 60)
    return Authenticator(keys, BOOTSTRAP_KEY, clock)


@pytest.fixture
def statements(database: Database) -> Iterator[list[str]]:
    """What is asked of the table of keys, and written to it."""
    seen: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        seen.append(statement.split()[0])

    engine = database._engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


async def is_let_in(authenticator: Authenticator, key: str) -> bool:
    try:
        await authenticator.authenticate(key.encode())
    except AuthenticationError:
        return False
    return True


async def make(keys: KeyStore, expires_at_ms: int | None = None) -> str:
    return await keys.create("alice", "acme", [Scope.GENERATE], NOW_MS, expires_at_ms)


async def test_a_key_tells_who_sends_a_request(
    authenticator: Authenticator, keys: KeyStore
) -> None:
    key = await make(keys)
    caller = await authenticator.authenticate(key.encode())
    expected = (key[:11], "acme", frozenset({Scope.GENERATE}))
    assert caller == Caller(*expected, Priority.STANDARD, Priority.STANDARD)
    await authenticator.close()


async def test_both_keys_of_a_rotation_work(authenticator: Authenticator, keys: KeyStore) -> None:
    old, new = await make(keys), await make(keys)
    assert await is_let_in(authenticator, old)
    assert await is_let_in(authenticator, new)
    await authenticator.close()


async def test_the_bootstrap_key_may_everything_and_needs_no_database(
    authenticator: Authenticator, outage: Outage
) -> None:
    async with outage():
        assert await authenticator.authenticate(BOOTSTRAP_KEY.encode()) == BOOTSTRAP
    assert all(BOOTSTRAP.may(scope) for scope in Scope)


async def test_operators_are_told_what_was_wrong(
    authenticator: Authenticator, keys: KeyStore
) -> None:
    good, revoked, expired = await make(keys), await make(keys), await make(keys, NOW_MS)
    await keys.revoke(revoked[:11], NOW_MS)
    reasons = {
        new_key(): "unknown",
        forged_key(good[:11]): "unknown",
        # Who does not have the key does not count as one who had it.
        forged_key(revoked[:11]): "unknown",
        revoked: "revoked",
        expired: "expired",
    }
    for key, reason in reasons.items():
        with pytest.raises(AuthenticationError) as refused:
            await authenticator.authenticate(key.encode())
        assert refused.value.reason == reason


async def test_every_failure_looks_the_same(
    authenticator: Authenticator, keys: KeyStore, clock: Clock
) -> None:
    good, other = await make(keys), await make(keys)
    revoked, expired = await make(keys), await make(keys, NOW_MS)
    await keys.revoke(revoked[:11], NOW_MS)
    # Another server's key of the same id: its checksum is right, its secret is not.
    forged = forged_key(good[:11])
    failures = ["", "Bearer", "sk-krea-", good[:-1], new_key(), forged, revoked, expired]
    messages = set()
    for key in failures:
        with pytest.raises(AuthenticationError) as refused:
            await authenticator.authenticate(key.encode())
        messages.add((refused.value.message, refused.value.code, refused.value.__cause__))
    assert len(messages) == 1
    assert await is_let_in(authenticator, good)
    assert await is_let_in(authenticator, other)
    await authenticator.close()


def forged_key(key_id: str) -> str:
    """Return a well-formed key of somebody else's id."""
    body = f"{key_id}_{'A' * 43}".encode()
    checksum = base64.urlsafe_b64encode(zlib.crc32(body).to_bytes(4, "big"))[:6]
    return (body + checksum).decode()


async def test_without_a_bootstrap_key_no_text_takes_its_place(keys: KeyStore) -> None:
    authenticator = Authenticator(keys)
    for text in ("", "None", "\0" * 32):
        assert not await is_let_in(authenticator, text)


async def test_a_revoked_key_ends_to_work_within_seconds(
    authenticator: Authenticator, keys: KeyStore, clock: Clock
) -> None:
    key = await make(keys)
    assert await is_let_in(authenticator, key)
    await keys.revoke(key[:11], NOW_MS)
    clock.now_s = NOW_S + FRESH_S - 0.1
    assert await is_let_in(authenticator, key), "the documented delay"
    clock.now_s = NOW_S + FRESH_S
    assert not await is_let_in(authenticator, key)
    await authenticator.close()


async def test_a_key_expires_on_time_though_it_is_remembered(
    authenticator: Authenticator, keys: KeyStore, clock: Clock
) -> None:
    key = await make(keys, expires_at_ms=NOW_MS + 1000)
    assert await is_let_in(authenticator, key)
    clock.now_s = NOW_S + 1
    assert not await is_let_in(authenticator, key)
    await authenticator.close()


async def test_a_new_key_works_at_once_though_it_was_tried_before(
    authenticator: Authenticator, keys: KeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = new_key()
    assert not await is_let_in(authenticator, key)
    monkeypatch.setattr("serve_app.records.key_store.new_key", lambda: key)
    await make(keys)
    assert await is_let_in(authenticator, key)
    await authenticator.close()


async def test_many_requests_ask_the_database_once(
    authenticator: Authenticator, keys: KeyStore, statements: list[str], clock: Clock
) -> None:
    key = await make(keys)
    statements.clear()
    assert all(await asyncio.gather(*[is_let_in(authenticator, key) for _ in range(50)]))
    assert await is_let_in(authenticator, key)
    await authenticator.close()
    assert statements == ["SELECT", "UPDATE"]
    clock.now_s += FRESH_S
    assert await is_let_in(authenticator, key)
    assert statements == ["SELECT", "UPDATE", "SELECT"]


async def test_a_known_key_outlives_the_database_for_a_while(
    authenticator: Authenticator, keys: KeyStore, clock: Clock, outage: Outage
) -> None:
    key, unknown = await make(keys), await make(keys)
    assert await is_let_in(authenticator, key)
    await authenticator.close()
    async with outage():
        for later_s in (FRESH_S, STALE_S / 2, STALE_S - 1):
            clock.now_s = NOW_S + later_s
            assert await is_let_in(authenticator, key)
        with pytest.raises(OverloadedError):
            await authenticator.authenticate(unknown.encode())
        clock.now_s = NOW_S + STALE_S + FRESH_S
        with pytest.raises(OverloadedError):
            await authenticator.authenticate(key.encode())
    assert await is_let_in(authenticator, key)
    await authenticator.close()


async def test_an_outage_does_not_let_a_wrong_secret_in(
    authenticator: Authenticator, keys: KeyStore, clock: Clock, outage: Outage
) -> None:
    key = await make(keys)
    assert await is_let_in(authenticator, key)
    await authenticator.close()
    clock.now_s += FRESH_S
    async with outage():
        assert not await is_let_in(authenticator, forged_key(key[:11]))


async def test_what_is_remembered_is_bounded(
    authenticator: Authenticator,
    keys: KeyStore,
    statements: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(authenticator_module, "MAX_REMEMBERED_KEYS", 2)
    made = [await make(keys) for _ in range(3)]
    statements.clear()
    for key in [*made, *made[1:], made[0]]:
        assert await is_let_in(authenticator, key)
    assert statements.count("SELECT") == 4, "the last two were remembered, the first was not"
    await authenticator.close()


async def test_use_is_noted_by_the_hour_and_only_of_the_right_key(
    authenticator: Authenticator, keys: KeyStore, clock: Clock
) -> None:
    key = await make(keys)
    assert not await is_let_in(authenticator, forged_key(key[:11]))
    seen: list[int | None] = []
    for later_s in (None, 0, 60, LAST_USED_PRECISION_MS // 1000):
        if later_s is not None:
            clock.now_s = NOW_S + later_s
            assert await is_let_in(authenticator, key)
            await authenticator.close()
        stored = await keys.find(key[:11])
        assert stored is not None
        seen.append(stored.last_used_at_ms)
    assert seen == [None, NOW_MS, NOW_MS, NOW_MS + LAST_USED_PRECISION_MS]


async def test_use_during_an_outage_is_let_in_all_the_same(
    authenticator: Authenticator, keys: KeyStore, clock: Clock, outage: Outage
) -> None:
    key = await make(keys)
    assert await is_let_in(authenticator, key)
    await authenticator.close()
    clock.now_s += STALE_S / 2 + LAST_USED_PRECISION_MS / 1000
    assert await is_let_in(authenticator, key)
    await authenticator.close()
    async with outage():
        assert await is_let_in(authenticator, key)
        await authenticator.close()
