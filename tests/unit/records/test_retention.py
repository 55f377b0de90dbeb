"""What ends: pictures at a client's wish, histories and answers with age."""

from dataclasses import replace

import pytest
from sqlalchemy import select

from serve_app.records import retention as retention_module
from serve_app.records.database import Database
from serve_app.records.history import History
from serve_app.records.idempotency import Claim, Idempotency, KeyedRequest
from serve_app.records.recorder import Recorder
from serve_app.records.retention import Retention
from serve_app.records.rows import KeptImage
from serve_app.records.stored_answers import StoredAnswer
from serve_app.records.tables import idempotency, images, requests
from tests.unit.records.conftest import COMPLETED, NOW_MS, Clock, admission

KEPT = (KeptImage("images/1.png", 10, NOW_MS), KeptImage("images/2.png", 20, NOW_MS))


@pytest.fixture
def retention(database: Database) -> Retention:
    return Retention(database)


@pytest.fixture
async def filled(database: Database) -> Database:
    """With the requests `old` and `new` that have ended, and `open` that has not."""
    recorder = Recorder(database)
    with_images = replace(COMPLETED, images=KEPT)
    await recorder.finish(admission("old", NOW_MS), with_images)
    await recorder.finish(admission("new", NOW_MS + 10), COMPLETED)
    recorder.admit(admission("open", NOW_MS + 5))
    await recorder.close()
    return database


async def num_rows(database: Database) -> dict[str, int]:
    tables = (requests, images, idempotency)
    return {table.name: len(await database.rows(select(table))) for table in tables}


async def answered(database: Database, clock: Clock, key: str, request_id: str) -> None:
    kept = Idempotency(database, clock)
    claim = await kept.begin(KeyedRequest("kr_aaaaaaaa", key, "print", request_id))
    assert isinstance(claim, Claim)
    async with kept.held(claim):
        await kept.finish(claim, StoredAnswer(request_id, 200, (), b"picture"))


async def test_a_request_has_its_pictures(retention: Retention, filled: Database) -> None:
    assert await retention.images_of("req_old") == ("images/1.png", "images/2.png")
    assert await retention.images_of("req_new") == ()


async def test_with_the_pictures_goes_the_answer_that_holds_them(
    retention: Retention, filled: Database, clock: Clock
) -> None:
    await answered(filled, clock, "one", "req_old")
    await answered(filled, clock, "two", "req_new")
    await retention.forget_payloads("req_old")
    assert await retention.images_of("req_old") == ()
    assert await num_rows(filled) == {"requests": 3, "images": 0, "idempotency": 1}


@pytest.mark.parametrize(
    ("before_ms", "left"),
    [(NOW_MS, 3), (NOW_MS + 1, 2), (NOW_MS + 10, 1), (NOW_MS + 11, 0)],
)
async def test_age_decides(
    retention: Retention, filled: Database, before_ms: int, left: int
) -> None:
    assert await retention.prune(before_ms) == 3 - left
    assert (await num_rows(filled))["requests"] == left
    assert (await num_rows(filled))["images"] == (2 if left == 3 else 0)


async def test_many_are_pruned_in_small_steps(
    retention: Retention, filled: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention_module, "NUM_PRUNED_AT_ONCE", 2)
    assert await retention.prune(NOW_MS + 100) == 3


async def test_what_never_ended_is_called_failed_and_nothing_else_is(
    retention: Retention, filled: Database
) -> None:
    assert await retention.give_up(NOW_MS + 5) == 0
    assert await retention.give_up(NOW_MS + 6) == 1
    assert await retention.give_up(NOW_MS + 6) == 0
    history = History(filled)
    given_up, ended = await history.get("acme", "req_open"), await history.get("acme", "req_old")
    assert given_up is not None
    assert ended is not None
    assert (given_up.status, ended.status) == ("upstream_failure", "completed")


async def test_an_outcome_after_all_is_recorded(retention: Retention, filled: Database) -> None:
    await retention.give_up(NOW_MS + 6)
    recorder = Recorder(filled)
    await recorder.finish(admission("open"), COMPLETED)
    await recorder.close()
    record = await History(filled).get("acme", "req_open")
    assert record is not None
    assert (record.status, record.cost_micros) == ("completed", 25_000)


async def test_answers_are_kept_for_a_day(
    retention: Retention, database: Database, clock: Clock
) -> None:
    await answered(database, clock, "one", "req_a")
    clock.now_s += 3600
    await answered(database, clock, "two", "req_b")
    day_ms = 24 * 3600 * 1000
    assert await retention.prune_answers(NOW_MS + day_ms - 1) == 0
    assert await retention.prune_answers(NOW_MS + day_ms) == 1
    assert (await num_rows(database))["idempotency"] == 1
