"""What happened gets into the history, once, and no request waits for that for long."""

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from serve_app.records import recorder as recorder_module
from serve_app.records.database import Database
from serve_app.records.history import History, HistoryFilter
from serve_app.records.recorder import Recorder
from serve_app.records.rows import Admission, KeptImage, Outcome
from serve_app.records.tables import images
from tests.unit.records.conftest import COMPLETED, NOW_MS, Outage, admission
from tests.unit.records.databases import locked

ACME = HistoryFilter("acme")
CANCELLED = Outcome("cancelled", duration_ms=7)


@pytest.fixture
def recorder(database: Database, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    # A busy machine must not look like a database that hangs.
    monkeypatch.setattr(recorder_module, "MAX_WAIT_S", 60)
    monkeypatch.setattr(recorder_module, "CLOSE_TIMEOUT_S", 60)
    monkeypatch.setattr(recorder_module, "RETRY_S", 0.01)
    return Recorder(database)


async def statuses(database: Database) -> dict[str, str]:
    page = await History(database).page(ACME, 100)
    return {each.id[4:]: each.status for each in page.requests}


async def test_a_request_is_in_the_history_from_its_admission(
    recorder: Recorder, database: Database
) -> None:
    recorder.admit(admission("a"))
    await recorder.close()
    assert await statuses(database) == {"a": "processing"}


async def test_whoever_reads_after_the_answer_finds_the_outcome(
    recorder: Recorder, database: Database
) -> None:
    admitted = admission("a")
    recorder.admit(admitted)
    await recorder.finish(admitted, COMPLETED)
    assert await statuses(database) == {"a": "completed"}
    await recorder.close()


async def test_an_outcome_needs_no_admission_before_it(
    recorder: Recorder, database: Database
) -> None:
    await recorder.finish(admission("a"), replace(COMPLETED, status="rejected"))
    assert await statuses(database) == {"a": "rejected"}
    await recorder.close()


async def test_the_first_outcome_stands(recorder: Recorder, database: Database) -> None:
    admitted = admission("a")
    await recorder.finish(admitted, COMPLETED)
    await recorder.finish(admitted, CANCELLED)
    recorder.admit(admitted)
    await recorder.close()
    record = await History(database).get("acme", "req_a")
    assert record is not None
    assert (record.status, record.cost_micros, record.duration_ms) == ("completed", 25_000, 1234)


async def test_pictures_are_noted_with_their_request(
    recorder: Recorder, database: Database
) -> None:
    kept = [KeptImage(f"images/{index}.png", 1000 + index, NOW_MS) for index in range(2)]
    admitted = admission("a")
    for _ in range(2):
        await recorder.finish(admitted, replace(COMPLETED, images=tuple(kept)))
    rows = await database.rows(select(images).order_by("object_name"))
    assert [row["request_id"] for row in rows] == ["req_a", "req_a"]
    found = [KeptImage(row["object_name"], row["size_bytes"], row["expires_at_ms"]) for row in rows]
    assert found == kept
    await recorder.close()


async def test_hundreds_at_once_are_all_written(recorder: Recorder, database: Database) -> None:
    admitted = [admission(f"{index}", organisation="many") for index in range(120)]
    for each in admitted:
        recorder.admit(each)
    await asyncio.gather(*[recorder.finish(each, COMPLETED) for each in admitted])
    summary = await History(database).summary(HistoryFilter("many", status="completed"))
    assert (summary.num_requests, summary.cost_micros) == (120, 120 * 25_000)
    assert recorder.num_lost == 0
    await recorder.close()


async def test_a_client_that_leaves_does_not_take_its_outcome_along(
    recorder: Recorder, database: Database
) -> None:
    finishing = asyncio.create_task(recorder.finish(admission("a"), CANCELLED))
    await asyncio.sleep(0)
    finishing.cancel()
    await recorder.close()
    assert finishing.cancelled()
    assert await statuses(database) == {"a": "cancelled"}


async def test_an_outage_delays_nobody_and_loses_nothing(
    recorder: Recorder, database: Database, outage: Outage
) -> None:
    async with outage():
        recorder.admit(admission("first"))
        while not recorder._is_failing:
            await asyncio.sleep(0.01)
        started_at = time.perf_counter()
        for index in range(20):
            admitted = admission(f"{index}")
            recorder.admit(admitted)
            await recorder.finish(admitted, COMPLETED)
        assert time.perf_counter() - started_at < 10
    await recorder.close()
    expected = {"first": "processing"} | {f"{index}": "completed" for index in range(20)}
    assert await statuses(database) == expected
    assert recorder.num_lost == 0


async def test_an_outage_is_seen_and_so_is_its_end(recorder: Recorder, outage: Outage) -> None:
    async def seen(is_failing: bool) -> None:
        async with asyncio.timeout(60):
            while recorder.is_failing != is_failing:
                await asyncio.sleep(0.01)

    assert not recorder.is_failing
    async with outage():
        recorder.admit(admission("a"))
        await seen(True)
    await seen(False)
    await recorder.close()


async def test_a_slow_database_is_waited_for_a_moment(
    recorder: Recorder, database: Database, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "MAX_WAIT_S", 0.01)
    with locked(file):
        await recorder.finish(admission("a"), COMPLETED)
        assert await statuses(database) == {}
    await recorder.close()
    assert await statuses(database) == {"a": "completed"}


async def test_a_database_that_stands_still_is_waited_for_once(
    recorder: Recorder, database: Database, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "MAX_WAIT_S", 0.5)
    with locked(file):
        started_at = time.perf_counter()
        for index in range(20):
            await recorder.finish(admission(f"{index}"), COMPLETED)
        waited_s = time.perf_counter() - started_at
        assert recorder.is_failing
    await recorder.close()
    assert waited_s < 10 * recorder_module.MAX_WAIT_S  # and not twenty times
    assert await statuses(database) == {f"{index}": "completed" for index in range(20)}
    assert not recorder.is_failing


async def test_what_does_not_fit_is_counted(
    recorder: Recorder, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "MAX_WAITING", 3)
    small = Recorder(database)
    for index in range(5):
        small.admit(admission(f"{index}"))
    await small.close()
    assert small.num_lost == 2
    assert set(await statuses(database)) == {"0", "1", "2"}


@pytest.mark.parametrize(
    "bad",
    [replace(admission("b"), user="\ud800"), replace(admission("b"), request_size_bytes=2**63)],
    ids=["lone surrogate", "huge integer"],
)
async def test_one_that_no_database_takes_is_lost_alone(
    recorder: Recorder, database: Database, bad: Admission
) -> None:
    recorder.admit(admission("a"))
    recorder.admit(bad)
    recorder.admit(admission("c"))
    await recorder.close()
    assert set(await statuses(database)) == {"a", "c"}
    assert recorder.num_lost == 1


async def test_what_cannot_be_written_in_time_is_left_at_the_end(
    recorder: Recorder, outage: Outage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "CLOSE_TIMEOUT_S", 0.05)
    async with outage():
        recorder.admit(admission("a"))
        await recorder.close()


async def test_one_that_recorded_nothing_closes_at_once(recorder: Recorder) -> None:
    await recorder.close()
