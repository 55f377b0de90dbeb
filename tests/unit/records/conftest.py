"""Databases on disk with all tables, a clock that stands still, and the end of a database."""

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from serve_app.config import RecordsConfig
from serve_app.records import database as database_module
from serve_app.records.database import Database
from serve_app.records.rows import Admission, Outcome
from serve_app.records.tables import metadata
from tests.unit.records.databases import sqlite_config

NOW_S = 1_800_000_000
NOW_MS = NOW_S * 1000

Outage = Callable[[], AbstractAsyncContextManager[None]]


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
def config(file: Path) -> RecordsConfig:
    return sqlite_config(file)


@pytest.fixture
async def database(config: RecordsConfig) -> AsyncIterator[Database]:
    opened = Database.open(config)
    yield opened
    await opened.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def outage(file: Path, monkeypatch: pytest.MonkeyPatch) -> Outage:
    """Returns a block in which the database answers nothing but errors."""
    monkeypatch.setattr(database_module, "PAUSE_S", 0)

    @asynccontextmanager
    async def away() -> AsyncIterator[None]:
        await asyncio.to_thread(rename_tables, file, "{}", "{}_away")
        yield
        await asyncio.to_thread(rename_tables, file, "{}_away", "{}")

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
