"""The history is read in pages that miss nothing, by those whose it is."""

from dataclasses import replace

import pytest

from serve_app.errors import OverloadedError
from serve_app.records.cursors import Cursor, Direction
from serve_app.records.database import Database
from serve_app.records.history import History, HistoryFilter, Page, Summary
from serve_app.records.recorder import Recorder
from serve_app.records.rows import Admission, Outcome, RequestRecord
from tests.unit.records.conftest import COMPLETED, NOW_MS, Outage, admission

ACME = HistoryFilter("acme")
NUM_REQUESTS = 11


@pytest.fixture
def history(database: Database) -> History:
    return History(database)


async def record(database: Database, *finished: tuple[Admission, Outcome | None]) -> None:
    recorder = Recorder(database)
    for admitted, outcome in finished:
        recorder.admit(admitted)
        if outcome is not None:
            await recorder.finish(admitted, outcome)
    await recorder.close()


async def fill(database: Database) -> None:
    """Record `r00` to `r10`, three in each millisecond, and one request of somebody else."""
    mine = [admission(f"r{index:02}", NOW_MS + index // 3) for index in range(NUM_REQUESTS)]
    other = admission("other", organisation="rival")
    await record(database, *[(each, None) for each in [*mine, other]])


def names(page: Page) -> list[str]:
    return [each.id[4:] for each in page.requests]


async def cursor_at(history: History, request_id: str, direction: Direction) -> Cursor:
    position = await history.position("acme", request_id)
    assert position is not None
    return Cursor(position, direction)


async def test_a_request_is_read_as_it_was_written(database: Database, history: History) -> None:
    admitted = admission("a")
    await record(database, (admitted, COMPLETED))
    assert await history.get("acme", "req_a") == RequestRecord(
        id="req_a",
        usage_event_id=admitted.usage_event_id,
        organisation="acme",
        key_id="kr_aaaaaaaa",
        created_at_ms=NOW_MS,
        model="flux.1-krea-dev",
        endpoint="/images/generations",
        status="completed",
        cost_micros=25_000,
        duration_ms=1234,
        error_code=None,
        error_message=None,
        session_id="session",
        trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
        user="user-1",
        request_size_bytes=31,
        response_size_bytes=900,
    )


async def test_of_others_requests_nothing_can_be_told(database: Database, history: History) -> None:
    await fill(database)
    assert await history.get("rival", "req_other") is not None
    assert await history.get("acme", "req_other") is None
    assert await history.position("acme", "req_other") is None
    assert names(await history.page(HistoryFilter("rival"), 100)) == ["other"]
    assert names(await history.page(HistoryFilter("nobody"), 100)) == []
    assert await history.summary(HistoryFilter("nobody")) == Summary(0, 0)


async def test_without_a_cursor_the_newest_come_first(database: Database, history: History) -> None:
    await fill(database)
    page = await history.page(ACME, 4)
    assert names(page) == ["r10", "r09", "r08", "r07"]
    assert (page.has_older, page.has_newer) == (True, False)


@pytest.mark.parametrize("limit", [1, 3, 10, 11])
async def test_pages_put_together_are_the_history(
    database: Database, history: History, limit: int
) -> None:
    await fill(database)
    there, page = [], await history.page(ACME, limit)
    while page.has_older:
        there += names(page)
        cursor = await cursor_at(history, page.requests[-1].id, "older")
        page = await history.page(ACME, limit, cursor)
        assert page.has_newer
    there += names(page)
    assert there == [f"r{index:02}" for index in reversed(range(NUM_REQUESTS))]

    back = names(page)
    while page.has_newer:
        cursor = await cursor_at(history, page.requests[0].id, "newer")
        page = await history.page(ACME, limit, cursor)
        assert page.has_older
        back = names(page) + back
    assert back == there


async def test_what_comes_in_moves_no_page(database: Database, history: History) -> None:
    await fill(database)
    cursor = await cursor_at(history, (await history.page(ACME, 4)).requests[-1].id, "older")
    before = await history.page(ACME, 4, cursor)
    await record(database, *[(admission(f"z{n}", NOW_MS + 1000 + n), None) for n in range(3)])
    assert await history.page(ACME, 4, cursor) == before
    newer = await history.page(ACME, 100, await cursor_at(history, "req_r10", "newer"))
    assert names(newer) == ["z2", "z1", "z0"]
    assert (newer.has_older, newer.has_newer) == (True, False)


async def test_beyond_the_ends_there_is_nothing(database: Database, history: History) -> None:
    await fill(database)
    oldest, newest = "req_r00", "req_r10"
    nothing = Page((), has_older=False, has_newer=False)
    assert await history.page(ACME, 5, await cursor_at(history, oldest, "older")) == nothing
    assert await history.page(ACME, 5, await cursor_at(history, newest, "newer")) == nothing


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        (ACME, ["d", "c", "b", "a"]),
        (replace(ACME, created_after_ms=NOW_MS + 1), ["d", "c"]),
        (replace(ACME, created_before_ms=NOW_MS + 1), ["a"]),
        (replace(ACME, created_after_ms=NOW_MS, created_before_ms=NOW_MS + 3), ["c", "b"]),
        (replace(ACME, key_id="kr_bbbbbbbb"), ["b"]),
        (replace(ACME, status="completed"), ["c", "a"]),
        (replace(ACME, status="rejected"), ["d"]),
        (replace(ACME, status="completed", key_id="kr_bbbbbbbb"), []),
    ],
)
async def test_a_filter_leaves_what_it_names(
    database: Database, history: History, chosen: HistoryFilter, found: list[str]
) -> None:
    rejected = Outcome("rejected", duration_ms=2, error_code="INVALID_REQUEST")
    await record(
        database,
        (admission("a", NOW_MS), COMPLETED),
        (admission("b", NOW_MS + 1, key_id="kr_bbbbbbbb"), None),
        (admission("c", NOW_MS + 2), COMPLETED),
        (admission("d", NOW_MS + 3, key_id=None), rejected),
    )
    page = await history.page(chosen, 100)
    assert names(page) == found
    summary = await history.summary(chosen)
    assert summary.num_requests == len(found)
    assert summary.cost_micros == sum(each.cost_micros for each in page.requests)


async def test_a_filter_holds_for_what_lies_beyond_the_page(
    database: Database, history: History
) -> None:
    await record(
        database,
        (admission("a", NOW_MS), None),
        (admission("b", NOW_MS + 1), COMPLETED),
        (admission("c", NOW_MS + 2), None),
    )
    completed = replace(ACME, status="completed")
    page = await history.page(completed, 1, await cursor_at(history, "req_c", "older"))
    assert page == Page(page.requests, has_older=False, has_newer=False)
    assert names(page) == ["b"]


async def test_the_sum_is_of_all_pages(database: Database, history: History) -> None:
    await record(database, *[(admission(f"a{n}", NOW_MS + n), COMPLETED) for n in range(5)])
    assert await history.summary(ACME) == Summary(5, 125_000)


async def test_without_a_database_there_is_no_history(history: History, outage: Outage) -> None:
    async with outage():
        for question in (history.page(ACME, 1), history.summary(ACME), history.get("a", "b")):
            with pytest.raises(OverloadedError):
                await question
