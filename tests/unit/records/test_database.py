"""A database that answers, one that does not, and what is no database."""

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Select, column, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from serve_app.config import RecordsConfig
from serve_app.errors import ConfigError, OverloadedError
from serve_app.records import database as database_module
from serve_app.records.database import Database, folder_of, is_outage, open_engine, url_of
from serve_app.records.tables import api_keys
from tests.unit.records.conftest import NOW_MS, Outage
from tests.unit.records.databases import locked, sqlite_config

KEY = {
    "id": "kr_aaaaaaaa",
    "name": "alice",
    "organisation": "acme",
    "scopes": "",
    "key_hash": b"",
    "created_at_ms": NOW_MS,
}


ALICE = api_keys.insert().values(KEY)
BOB = api_keys.insert().values(KEY | {"id": "kr_bbbbbbbb"})
NUM_SLOW = 300_000
# Counts to that number, which takes a while.
SLOW: Select[Any] = select(column("i")).select_from(
    text(
        "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
        f" WHERE i < {NUM_SLOW}) SELECT max(i) AS i FROM n) AS slow"
    )
)


async def num_keys(database: Database) -> int:
    return len(await database.rows(select(api_keys.c.id)))


@pytest.mark.usefixtures("file")
@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("synchronous", 1), ("busy_timeout", 5000), ("foreign_keys", 1)],
)
async def test_sqlite_is_set_up_for_many_processes(
    database: Database, pragma: str, value: object
) -> None:
    (row,) = await database.rows(select(text(f"* FROM pragma_{pragma}")))
    assert list(row.values()) == [value]


async def test_a_change_is_done_whole_or_not_at_all(database: Database) -> None:
    with pytest.raises(IntegrityError):
        await database.change(BOB, ALICE, ALICE)
    assert await num_keys(database) == 0
    assert await database.change(BOB, ALICE) == 2
    assert await num_keys(database) == 2


async def test_changes_are_counted(database: Database) -> None:
    again = database.insert(api_keys).values(KEY).on_conflict_do_nothing()
    assert await database.change(ALICE) == 1
    assert await database.change(again) == 0
    assert await database.change(again, BOB) == 1
    assert await database.change(api_keys.delete()) == 2


@pytest.mark.parametrize("num_turns", range(0, 40, 4))
async def test_who_leaves_early_breaks_nothing_off(database: Database, num_turns: int) -> None:
    changing = asyncio.create_task(database.change(ALICE, BOB))
    for _ in range(num_turns + 1):
        await asyncio.sleep(0.0005)
    changing.cancel()
    await asyncio.wait([changing])
    await database.close()
    assert await num_keys(database) == 2


async def test_what_is_away_is_unavailable_until_it_is_back(
    database: Database, outage: Outage
) -> None:
    assert await num_keys(database) == 0
    async with outage():
        with pytest.raises(OverloadedError, match="database of keys and requests"):
            await num_keys(database)
    assert await num_keys(database) == 0


async def test_after_a_failure_nobody_asks_for_a_while(
    database: Database, outage: Outage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "PAUSE_S", 3600)
    async with outage():
        with pytest.raises(OverloadedError):
            await num_keys(database)
    started_at = time.perf_counter()
    with pytest.raises(OverloadedError):
        await num_keys(database)
    assert time.perf_counter() - started_at < 1


async def test_a_lock_of_another_process_is_waited_for_and_then_given_up(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "PRAGMAS", ("PRAGMA busy_timeout=200",))
    impatient = Database.open(sqlite_config(file))
    with locked(file):
        assert await num_keys(impatient) == 0, "who only reads does not wait"
        with pytest.raises(OverloadedError):
            await impatient.change(ALICE)
    await impatient.close()


async def test_who_cannot_wait_need_not(database: Database) -> None:
    with pytest.raises(OverloadedError):
        await database.rows(SLOW, timeout_s=0.01)
    await asyncio.sleep(database_module.PAUSE_S)
    (row,) = await database.rows(SLOW)
    assert row["i"] == NUM_SLOW


async def test_a_mistake_of_ours_is_not_called_an_outage(database: Database) -> None:
    with pytest.raises(IntegrityError) as raised:
        await database.change(ALICE, ALICE)
    assert "alice" not in str(raised.value), "errors are logged, and logs are read by others"
    assert await num_keys(database) == 0


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (TimeoutError(), True),
        (ConnectionRefusedError(), True),
        (PoolTimeoutError(), True),
        (OperationalError("SELECT", {}, Exception("database is locked")), True),
        (DBAPIError("SELECT", {}, Exception("cut off"), connection_invalidated=True), True),
        (DBAPIError("SELECT", {}, Exception("no")), False),
        (IntegrityError("INSERT", {}, Exception("UNIQUE")), False),
    ],
    ids=repr,
)
def test_outages_are_told_from_mistakes(error: Exception, expected: bool) -> None:
    assert is_outage(error) is expected


@pytest.mark.parametrize(
    ("url", "driver", "folder"),
    [
        ("sqlite:////var/lib/krea/records.db", "sqlite+aiosqlite", Path("/var/lib/krea")),
        ("postgresql://u:p@db/krea", "postgresql+asyncpg", None),
    ],
)
def test_a_url_gets_its_driver(url: str, driver: str, folder: Path | None) -> None:
    found = url_of(RecordsConfig(url=url))
    assert found.drivername == driver
    assert folder_of(found) == folder


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("records.db", "is not one"),
        ("", "is not one"),
        ("mysql://root:hunter2@db/krea", "must start with"),
        ("sqlite://", "absolute path"),
        ("sqlite:///records.db", "absolute path"),
        ("sqlite:///:memory:", "absolute path"),
    ],
)
def test_a_wrong_url_is_refused_without_its_password(url: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as refused:
        url_of(RecordsConfig(url=url))
    assert "hunter2" not in refused.value.message


def test_the_environment_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KREA_SERVE_DATABASE_URL", "sqlite:////elsewhere/records.db")
    assert url_of(RecordsConfig()).database == "/elsewhere/records.db"
    monkeypatch.setenv("KREA_SERVE_DATABASE_URL", "")
    assert url_of(RecordsConfig(url="sqlite:////here.db")).database == "/here.db"


def test_only_the_owner_can_read_what_is_made(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "records.db"
    open_engine(url_of(sqlite_config(file)))
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="file"):
        open_engine(url_of(sqlite_config(tmp_path / "file" / "records.db")))


def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(ConfigError, match=r"postgresql\+asyncpg is not installed"):
        open_engine(url_of(RecordsConfig(url="postgresql://db/krea")))
