"""A cursor splits the history in two, also among requests of the same millisecond."""

import pytest
from sqlalchemy import select

from serve_app.records.cursors import Cursor, Direction, Position, beyond, nearest_first
from serve_app.records.database import Database
from serve_app.records.recorder import Recorder
from serve_app.records.tables import requests
from tests.unit.records.conftest import NOW_MS, admission

# Newest first.
NAMES = ["e", "d", "c", "b", "a"]
TIMES = {"e": NOW_MS + 1, "d": NOW_MS, "c": NOW_MS, "b": NOW_MS, "a": NOW_MS - 1}


@pytest.fixture
async def filled(database: Database) -> Database:
    recorder = Recorder(database)
    for name in ("c", "a", "e", "b", "d"):
        recorder.admit(admission(name, TIMES[name]))
    await recorder.close()
    return database


async def met(database: Database, name: str, direction: Direction) -> list[str]:
    cursor = Cursor(Position(TIMES[name], f"req_{name}"), direction)
    query = select(requests.c.id).where(beyond(cursor)).order_by(*nearest_first(direction))
    return [row["id"][4:] for row in await database.rows(query)]


@pytest.mark.parametrize("index", range(len(NAMES)))
async def test_each_request_has_the_others_on_its_two_sides(filled: Database, index: int) -> None:
    assert await met(filled, NAMES[index], "older") == NAMES[index + 1 :]
    assert await met(filled, NAMES[index], "newer") == NAMES[:index][::-1]
