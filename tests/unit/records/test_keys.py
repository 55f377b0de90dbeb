"""Keys look as documented, cannot be mistyped, and are kept as hashes."""

import re
from typing import Any

import pytest

from serve_app.records.keys import (
    ANONYMOUS,
    Caller,
    Scope,
    StoredKey,
    hash_of,
    id_of,
    new_key,
)
from tests.unit.records.conftest import NOW_MS

# What a scanner for leaked keys looks for, before it checks the checksum.
SHAPE = re.compile(r"kr_[a-z0-9]{8}_[A-Za-z0-9_-]{49}")
KEY = "kr_lqgxp685_gr2gfiMiCRTvRgiYk3-Pcn3b_XeTLwZ7Ceb6EJQRfGIlNHksA"


def stored(**changes: Any) -> StoredKey:
    return StoredKey("kr_aaaaaaaa", "alice", "acme", frozenset(), b"", NOW_MS, **changes)


def test_a_key_has_the_documented_shape_and_a_secret_of_its_own() -> None:
    keys = [new_key() for _ in range(50)]
    assert [key for key in keys if not SHAPE.fullmatch(key)] == []
    assert len({key[:11] for key in keys}) == len({key[12:] for key in keys}) == 50


def test_yesterdays_keys_are_still_keys() -> None:
    assert id_of(KEY.encode()) == "kr_lqgxp685"


@pytest.mark.parametrize("index", range(len(KEY)))
def test_a_mistyped_key_is_none(index: int) -> None:
    other = "A" if KEY[index] != "A" else "B"
    assert id_of((KEY[:index] + other + KEY[index + 1 :]).encode()) is None


@pytest.mark.parametrize(
    "text",
    ["", "kr_", "sk-live", KEY[:-1], KEY + "A", f" {KEY}", f"{KEY}\n", KEY.upper(), KEY[3:]],
)
def test_what_is_not_all_of_a_key_is_none(text: str) -> None:
    assert id_of(text.encode()) is None


def test_bytes_of_no_alphabet_are_no_key() -> None:
    assert id_of(KEY.encode()[:-1] + b"\xff") is None
    assert id_of(b"\0" * len(KEY)) is None


def test_a_hash_needs_the_pepper_and_hides_the_key() -> None:
    key = KEY.encode()
    hashed = hash_of(key, b"pepper")
    assert len(hashed) == 32
    assert hash_of(key, b"pepper") == hashed
    assert hash_of(key, b"salt") != hashed
    assert hash_of(key[:-1], b"pepper") != hashed


@pytest.mark.parametrize(
    ("key", "state"),
    [
        (stored(), "live"),
        (stored(expires_at_ms=NOW_MS + 1), "live"),
        (stored(expires_at_ms=NOW_MS), "expired"),
        (stored(revoked_at_ms=NOW_MS - 1), "revoked"),
        (stored(revoked_at_ms=NOW_MS - 1, expires_at_ms=NOW_MS), "revoked"),
    ],
)
def test_a_key_lives_until_it_ends(key: StoredKey, state: str) -> None:
    assert key.state(NOW_MS) == state


def test_a_caller_may_what_its_key_says() -> None:
    caller = Caller("kr_aaaaaaaa", "acme", frozenset({Scope.EDIT}))
    assert [scope for scope in Scope if caller.may(scope)] == [Scope.EDIT]


def test_where_no_key_is_asked_for_everybody_may_everything() -> None:
    assert ANONYMOUS.key_id is None
    assert all(ANONYMOUS.may(scope) for scope in Scope)


def test_scopes_are_spelled_as_documented() -> None:
    assert sorted(Scope) == ["history:purge", "history:read", "images:edit", "images:generate"]
