"""Records are swept while the app runs, and written to the end when it stops."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from serve_app.api.upkeep import kept_tidy
from serve_app.records.history import HistoryFilter
from serve_app.records.records import Records
from tests.unit.records.conftest import COMPLETED, admission
from tests.unit.records.databases import sqlite_config

DAY_MS = 24 * 3600 * 1000
ALL = HistoryFilter("acme")


@pytest.fixture
def records(records_file: Path) -> Records:
    return Records.open(sqlite_config(records_file).model_copy(update={"history_ttl_s": 24 * 3600}))


async def add(records: Records, name: str, age_ms: int) -> None:
    now_ms = int(time.time() * 1000)
    await records.recorder.finish(admission(name, now_ms - age_ms), COMPLETED)


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await is_so():
            await asyncio.sleep(0.02)


async def test_it_sweeps_at_once_and_again(records: Records) -> None:
    async def is_one() -> bool:
        return (await records.history.summary(ALL)).num_requests == 1

    await add(records, "old", 2 * DAY_MS)
    await add(records, "new", 0)
    async with kept_tidy(records, period_s=0.05):
        await until(is_one)
        await add(records, "old-2", 2 * DAY_MS)
        await until(is_one)


async def test_a_sweep_that_fails_is_not_the_last(
    records: Records, records_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from serve_app.records import database
    from tests.unit.records.conftest import rename_tables

    async def is_none() -> bool:
        return (await records.history.summary(ALL)).num_requests == 0

    monkeypatch.setattr(database, "PAUSE_S", 0)
    await add(records, "old", 2 * DAY_MS)
    rename_tables(records_file, "{}", "{}_away")
    async with kept_tidy(records, period_s=0.05):
        await asyncio.sleep(0.2)
        rename_tables(records_file, "{}_away", "{}")
        await until(is_none)


async def test_at_the_end_everything_is_written(records: Records, records_file: Path) -> None:
    async with kept_tidy(records):
        records.recorder.admit(admission("last", int(time.time() * 1000)))
    again = Records.open(sqlite_config(records_file))
    assert (await again.history.summary(ALL)).num_requests == 1
    await again.close()
