"""A PostgreSQL that restarts, hangs or breaks something off, as one that is used meets it."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import func, select, text, update

from serve_app.errors import OverloadedError
from serve_app.records import recorder as recorder_module
from serve_app.records.database import PAUSE_S, Database
from serve_app.records.history import History, HistoryFilter
from serve_app.records.idempotency import Claim, Idempotency, KeyedRequest
from serve_app.records.recorder import Recorder
from serve_app.records.schema import SchemaError, check_schema
from serve_app.records.tables import api_keys, requests
from tests.unit.records.conftest import COMPLETED, NOW_MS, admission
from tests.unit.records.postgresql_server import PostgresqlServer

TIMEOUT_S = 1.0
# To leave, of a call that waits no longer than that: the rest is a busy machine's.
LEEWAY_S = 4.0
RATHER_LONG_S = 60

KEY = {"organisation": "acme", "scopes": "", "key_hash": b"", "created_at_ms": NOW_MS}
ANY = select(api_keys.c.id)


@pytest.fixture
async def impatient(
    postgresql: PostgresqlServer, postgresql_database: str
) -> AsyncIterator[Database]:
    opened = Database.open(postgresql.config(postgresql_database, TIMEOUT_S))
    yield opened
    await opened.close()


@pytest.fixture
async def patient(
    postgresql: PostgresqlServer, postgresql_database: str
) -> AsyncIterator[Database]:
    opened = Database.open(postgresql.config(postgresql_database))
    yield opened
    await opened.close()


async def until_it_answers(database: Database) -> None:
    async with asyncio.timeout(RATHER_LONG_S):
        while True:
            try:
                await database.rows(ANY)
            except OverloadedError:
                await asyncio.sleep(PAUSE_S)
            else:
                return


async def use_many_connections(database: Database) -> None:
    await asyncio.gather(*[database.rows(ANY) for _ in range(8)])


@pytest.mark.parametrize("is_crash", [False, True], ids=["stopped", "crashed"])
async def test_a_restart_loses_and_doubles_nothing(
    postgresql: PostgresqlServer,
    patient: Database,
    monkeypatch: pytest.MonkeyPatch,
    is_crash: bool,
) -> None:
    monkeypatch.setattr(recorder_module, "MAX_BATCH", 7)
    monkeypatch.setattr(recorder_module, "CLOSE_TIMEOUT_S", RATHER_LONG_S)
    recorder = Recorder(patient)
    is_over = asyncio.Event()
    finished: list[str] = []

    async def go_on() -> None:
        while not is_over.is_set():
            admitted = admission(f"{len(finished)}")
            finished.append(admitted.request_id)
            recorder.admit(admitted)
            await recorder.finish(admitted, COMPLETED)
            await asyncio.sleep(0.005)

    going = [asyncio.create_task(go_on()) for _ in range(4)]
    await asyncio.sleep(0.3)
    await asyncio.to_thread(postgresql.stop, is_crash)
    await asyncio.sleep(0.3)
    was_seen = recorder.is_failing
    await asyncio.to_thread(postgresql.start)
    await asyncio.sleep(0.3)
    is_over.set()
    await asyncio.gather(*going)
    await recorder.close()
    found = await patient.rows(select(requests.c.id, requests.c.status))
    assert was_seen
    assert sorted(row["id"] for row in found) == sorted(finished)
    assert {row["status"] for row in found} == {"completed"}
    summary = await History(patient).summary(HistoryFilter("acme"))
    assert summary.cost_micros == len(finished) * COMPLETED.cost_micros
    assert recorder.num_lost == 0


async def test_after_a_restart_the_first_question_is_answered(
    postgresql: PostgresqlServer, patient: Database
) -> None:
    await use_many_connections(patient)
    await asyncio.to_thread(postgresql.stop)
    await asyncio.to_thread(postgresql.start)
    for _ in range(8):
        assert await patient.rows(ANY) == []


async def test_a_frozen_server_costs_a_caller_its_timeout_and_no_more(
    postgresql: PostgresqlServer, impatient: Database, patient: Database
) -> None:
    await use_many_connections(impatient)
    kept = Idempotency(impatient)
    request = KeyedRequest("kr_aaaaaaaa", "order-1", "print", "req_1")
    change = api_keys.insert().values(KEY | {"id": "kr_aaaaaaaa", "name": "alice"})
    with postgresql.frozen():
        for call in (
            lambda: impatient.rows(ANY),
            lambda: impatient.change(change),
            lambda: kept.begin(request),
            lambda: asyncio.gather(*[impatient.rows(ANY) for _ in range(40)]),
        ):
            started_at = time.monotonic()
            with pytest.raises(OverloadedError):
                await call()
            assert time.monotonic() - started_at < TIMEOUT_S + LEEWAY_S
            await asyncio.sleep(PAUSE_S)
    await until_it_answers(impatient)
    assert isinstance(await Idempotency(patient).begin(request), Claim)


async def test_a_frozen_server_can_be_left(
    postgresql: PostgresqlServer, postgresql_database: str
) -> None:
    database = Database.open(postgresql.config(postgresql_database, TIMEOUT_S))
    await use_many_connections(database)
    with postgresql.frozen():
        started_at = time.monotonic()
        await database.close()
        with pytest.raises(SchemaError, match="does not answer"):
            await asyncio.to_thread(check_schema, postgresql.config(postgresql_database, TIMEOUT_S))
    assert time.monotonic() - started_at < 2 * (TIMEOUT_S + LEEWAY_S)


async def test_a_frozen_server_has_forgotten_nothing_that_was_recorded_meanwhile(
    postgresql: PostgresqlServer,
    impatient: Database,
    patient: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recorder_module, "CLOSE_TIMEOUT_S", RATHER_LONG_S)
    await use_many_connections(impatient)
    recorder = Recorder(impatient)
    with postgresql.frozen():
        for index in range(30):
            await recorder.finish(admission(f"{index}"), COMPLETED)
        await asyncio.sleep(2.5 * TIMEOUT_S)
    await recorder.close()
    summary = await History(patient).summary(HistoryFilter("acme", status="completed"))
    assert (summary.num_requests, recorder.num_lost) == (30, 0)


async def test_two_who_wait_for_each_other_are_both_done(patient: Database) -> None:
    ids = "kr_aaaaaaaa", "kr_bbbbbbbb"
    await patient.change(
        *[api_keys.insert().values(KEY | {"id": each, "name": ""}) for each in ids]
    )

    async def rename(first: str, second: str) -> int:
        lock = update(api_keys).where(api_keys.c.id == first)
        # Meanwhile the other has locked the other row.
        slowly = func.concat(api_keys.c.name, first, func.pg_sleep(0.3))
        then = update(api_keys).where(api_keys.c.id == second)
        name = func.concat(api_keys.c.name, first)
        return await patient.change(lock.values(name=slowly), then.values(name=name))

    done = await asyncio.gather(rename(*ids), rename(ids[1], ids[0]))
    assert list(done) == [2, 2]
    names = [row["name"] for row in await patient.rows(select(api_keys.c.name))]
    assert all(len(name) == 2 * len(ids[0]) for name in names)


@pytest.mark.parametrize("setting", ["statement_timeout", "idle_in_transaction_session_timeout"])
async def test_the_server_breaks_off_what_nobody_waits_for(
    impatient: Database, setting: str
) -> None:
    query = select(text(f"current_setting('{setting}') AS said"))
    assert [row["said"] for row in await impatient.rows(query)] == ["1s"]
