"""Databases on disk with all tables, a clock that stands still, and the end of a database."""

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from serve_app.config import RecordsConfig
from serve_app.records import database as database_module
from serve_app.records.database import Database
from serve_app.records.rows import Admission, Outcome
from serve_app.records.tables import metadata
from tests.unit.records.databases import sqlite_config
from tests.unit.records.postgresql_server import PostgresqlServer

NOW_S = 1_800_000_000
NOW_MS = NOW_S * 1000

PEPPER = "a pepper for the tests, long enough"
BACKENDS = ("sqlite", "postgresql")

Outage = Callable[[], AbstractAsyncContextManager[None]]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what needs a database on each kind, but for what reaches into SQLite's file."""
    if "backend" in metafunc.fixturenames:
        is_of_file = "file" in metafunc.fixturenames
        metafunc.parametrize("backend", BACKENDS[:1] if is_of_file else BACKENDS)


@dataclass
class Clock:
    """A clock that the test moves.

    Attributes:
        now_s: What it shows.
    """

    now_s: float = NOW_S

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def file(migrated_file: Path, tmp_path: Path) -> Path:
    """A database of its own for each test."""
    return Path(shutil.copy(migrated_file, tmp_path / "records.db"))


@pytest.fixture
def config(
    backend: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> RecordsConfig:
    if backend == "sqlite":
        return sqlite_config(request.getfixturevalue("file"))
    monkeypatch.setenv("KREA_SERVE_KEY_PEPPER", PEPPER)
    server: PostgresqlServer = request.getfixturevalue("postgresql")
    return server.config(request.getfixturevalue("postgresql_database"))


@pytest.fixture
async def database(config: RecordsConfig) -> AsyncIterator[Database]:
    opened = Database.open(config)
    yield opened
    await opened.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def outage(
    config: RecordsConfig, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Outage:
    """Returns a block in which the database answers nothing but errors."""
    monkeypatch.setattr(database_module, "PAUSE_S", 0)
    if config.url.startswith("sqlite"):
        file: Path = request.getfixturevalue("file")
        begin = partial(rename_tables, file, "{}", "{}_away")
        end = partial(rename_tables, file, "{}_away", "{}")
    else:
        server: PostgresqlServer = request.getfixturevalue("postgresql")
        name: str = request.getfixturevalue("postgresql_database")
        begin, end = partial(server.shut, name), partial(server.open, name)

    @asynccontextmanager
    async def away() -> AsyncIterator[None]:
        await asyncio.to_thread(begin)
        yield
        await asyncio.to_thread(end)

    return away


def rename_tables(file: Path, old: str, new: str) -> None:
    connection = sqlite3.connect(file, timeout=60)
    for name in metadata.tables:
        connection.execute(f"ALTER TABLE {old.format(name)} RENAME TO {new.format(name)}")
    connection.close()


def admission(
    name: str,
    created_at_ms: int = NOW_MS,
    organisation: str = "acme",
    key_id: str | None = "kr_aaaaaaaa",
) -> Admission:
    return Admission(
        request_id=f"req_{name}",
        organisation=organisation,
        key_id=key_id,
        created_at_ms=created_at_ms,
        model="flux.1-krea-dev",
        endpoint="/images/generations",
        request_size_bytes=31,
        session_id="session",
        trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
        user="user-1",
    )


COMPLETED = Outcome("completed", duration_ms=1234, cost_micros=25_000, response_size_bytes=900)
