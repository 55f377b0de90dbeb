"""A repeated request is done once, whoever repeats it, and whoever dies over it."""

import asyncio
import logging
import os
import sys
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from serve_app.config import RecordsConfig
from serve_app.errors import OverloadedError
from serve_app.records import idempotency as idempotency_module
from serve_app.records.database import Database
from serve_app.records.idempotency import (
    LEASE_S,
    TTL_S,
    Claim,
    Idempotency,
    KeyedRequest,
    Mismatch,
)
from serve_app.records.stored_answers import StoredAnswer
from tests.unit.records.conftest import NOW_S, Clock, Outage

ROOT = Path(__file__).parents[3]
REQUEST = KeyedRequest("kr_aaaaaaaa", "order-1", "print", "req_1")
REPEATED = replace(REQUEST, request_id="req_2")
ANSWER = StoredAnswer("req_1", 200, (("content-type", "application/json"),), b'{"id":"req_1"}')


@pytest.fixture
def kept(database: Database, clock: Clock) -> Idempotency:
    return Idempotency(database, clock)


async def claimed(kept: Idempotency, request: KeyedRequest = REQUEST) -> Claim:
    claim = await kept.begin(request)
    assert isinstance(claim, Claim)
    return claim


async def do(kept: Idempotency, request: KeyedRequest, answer: StoredAnswer) -> None:
    claim = await claimed(kept, request)
    async with kept.held(claim):
        await kept.finish(claim, answer)


@pytest.mark.parametrize("body", [b"", b'{"id":"req_1"}', os.urandom(3_000_000)])
async def test_a_repetition_gets_the_same_bytes(kept: Idempotency, body: bytes) -> None:
    answer = replace(ANSWER, body=body)
    await do(kept, REQUEST, answer)
    for _ in range(2):
        assert await kept.begin(REPEATED) == answer


@pytest.mark.parametrize(
    "other",
    [
        replace(REPEATED, key="order-2"),
        replace(REPEATED, key="Order-1"),
        replace(REPEATED, caller="kr_bbbbbbbb"),
    ],
)
async def test_another_key_or_caller_is_another_request(
    kept: Idempotency, other: KeyedRequest
) -> None:
    await do(kept, REQUEST, ANSWER)
    assert isinstance(await kept.begin(other), Claim)


async def test_a_key_belongs_to_one_body(kept: Idempotency) -> None:
    other = replace(REPEATED, fingerprint="another")
    claim = await claimed(kept)
    async with kept.held(claim):
        assert await kept.begin(other) == Mismatch()
        assert await kept.finish(claim, ANSWER)
    assert await kept.begin(other) == Mismatch()
    assert await kept.begin(REPEATED) == ANSWER


@pytest.mark.parametrize(("later_s", "is_kept"), [(TTL_S - 1, True), (TTL_S, False)])
async def test_an_answer_is_kept_for_a_day(
    kept: Idempotency, clock: Clock, later_s: float, is_kept: bool
) -> None:
    await do(kept, REQUEST, ANSWER)
    clock.now_s = NOW_S + later_s
    assert (await kept.begin(REPEATED) == ANSWER) is is_kept


async def test_after_a_day_a_key_is_free_for_any_body(kept: Idempotency, clock: Clock) -> None:
    await do(kept, REQUEST, ANSWER)
    clock.now_s += TTL_S
    other = replace(REPEATED, fingerprint="another")
    second = replace(ANSWER, request_id="req_2", body=b"second")
    await do(kept, other, second)
    assert await kept.begin(other) == second


@pytest.mark.parametrize("status_code", [400, 403, 429, 500, 502, 503, 504])
async def test_a_failure_is_not_kept(kept: Idempotency, status_code: int) -> None:
    await do(kept, REQUEST, replace(ANSWER, status_code=status_code))
    await do(kept, REPEATED, replace(ANSWER, request_id="req_2"))
    assert await kept.begin(REQUEST) == replace(ANSWER, request_id="req_2")


async def test_an_error_frees_the_key_and_goes_on(kept: Idempotency) -> None:
    claim = await claimed(kept)
    with pytest.raises(ZeroDivisionError):
        async with kept.held(claim):
            raise ZeroDivisionError
    assert isinstance(await kept.begin(REPEATED), Claim)


async def test_a_client_that_leaves_frees_the_key(kept: Idempotency) -> None:
    is_running = asyncio.Event()

    async def run_long() -> None:
        async with kept.held(await claimed(kept)):
            is_running.set()
            await asyncio.sleep(3600)

    running = asyncio.create_task(run_long())
    await is_running.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert isinstance(await kept.begin(REPEATED), Claim)


@pytest.mark.parametrize("num_turns", range(0, 60, 4))
async def test_one_that_leaves_while_it_asks_frees_the_key_too(
    kept: Idempotency, num_turns: int
) -> None:
    asking = asyncio.create_task(kept.begin(REQUEST))
    for _ in range(num_turns):
        await asyncio.sleep(0.0005)
    asking.cancel()
    await asyncio.wait([asking])
    if not asking.cancelled():
        return  # it was faster than we wanted to leave
    assert isinstance(await kept.begin(REPEATED), Claim)


async def test_fifty_at_once_are_done_once(kept: Idempotency) -> None:
    num_done = 0

    async def send(index: int) -> StoredAnswer:
        nonlocal num_done
        begun = await kept.begin(replace(REQUEST, request_id=f"req_{index}"))
        if isinstance(begun, Claim):
            async with kept.held(begun):
                num_done += 1
                await asyncio.sleep(0.3)
                answer = replace(ANSWER, request_id=begun.request.request_id)
                await kept.finish(begun, answer)
                return answer
        assert isinstance(begun, StoredAnswer)
        return begun

    answers = await asyncio.gather(*[send(index) for index in range(50)])
    assert num_done == 1
    assert len({answer.request_id for answer in answers}) == 1


async def test_processes_wait_for_each_other(config: RecordsConfig) -> None:
    command = [sys.executable, "-m", "tests.unit.records.repeating_client", config.url]
    clients = [
        await asyncio.create_subprocess_exec(
            *command, f"req_{index}", cwd=ROOT, stdout=asyncio.subprocess.PIPE
        )
        for index in range(2)
    ]
    said = [(await client.communicate())[0].decode() for client in clients]
    (done,) = [line.removeprefix("did ") for line in said if line.startswith("did ")]
    assert sorted(said) == [f"did {done}", f"saw {done}"]


async def test_fifty_claims_through_several_databases_have_one_winner(
    config: RecordsConfig,
) -> None:
    async with AsyncExitStack() as opened:
        databases = [Database.open(config) for _ in range(5)]
        for database in databases:
            opened.push_async_callback(database.close)
        takers = [Idempotency(database) for database in databases] * 10
        # None of the id that asks afterwards: to that its own claim is free.
        requests = [replace(REQUEST, request_id=f"req_of_{index}") for index in range(50)]
        claims = await asyncio.gather(
            *[taker._claim(request) for taker, request in zip(takers, requests, strict=True)]
        )
        won = [claim for claim in claims if claim is not None]
        assert len(won) == 1
        row = await takers[0]._find(REPEATED)
        assert row is not None
        assert (row["owner"], row["request_id"]) == (won[0].owner, won[0].request.request_id)


async def test_the_next_in_line_takes_over_from_one_that_failed(kept: Idempotency) -> None:
    claim = await claimed(kept)
    # Each of its own id: one that comes again under the same takes its own key over.
    repeated = [replace(REQUEST, request_id=f"req_{number}") for number in (2, 3, 4)]
    waiting = [asyncio.create_task(kept.begin(each)) for each in repeated]
    async with kept.held(claim):
        await asyncio.sleep(0.2)
        assert not any(task.done() for task in waiting)
    done, others = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    successor = done.pop().result()
    assert isinstance(successor, Claim)
    assert not done
    async with kept.held(successor):
        answer = replace(ANSWER, request_id=successor.request.request_id)
        await kept.finish(successor, answer)
    assert await asyncio.gather(*others) == [answer] * 2


async def test_a_dead_owner_is_succeeded_after_its_lease(kept: Idempotency, clock: Clock) -> None:
    dead = await claimed(kept)
    clock.now_s = NOW_S + LEASE_S - 0.1
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await kept.begin(REPEATED)
    clock.now_s = NOW_S + LEASE_S
    await do(kept, REPEATED, replace(ANSWER, request_id="req_2"))
    # It was only slow: its answer is too late to be the one that is kept.
    async with kept.held(dead):
        assert not await kept.finish(dead, ANSWER)
    assert await kept.begin(REQUEST) == replace(ANSWER, request_id="req_2")


async def test_a_request_that_comes_again_under_its_id_succeeds_itself(kept: Idempotency) -> None:
    lost = await claimed(kept)
    again = await claimed(kept)
    assert again.owner != lost.owner
    async with kept.held(again):
        # Others go on waiting for it, and what was thought dead cannot answer in its place.
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await kept.begin(REPEATED)
        assert not await kept.finish(lost, replace(ANSWER, body=b"of the dead"))
        assert await kept.finish(again, ANSWER)
    assert await kept.begin(REQUEST) == ANSWER


async def test_a_process_that_died_after_its_answer_was_kept_is_not_asked_again(
    kept: Idempotency,
) -> None:
    lost = await claimed(kept)
    assert await kept.finish(lost, ANSWER)
    assert await kept.begin(REQUEST) == ANSWER


async def test_one_that_was_succeeded_does_not_free_the_key(
    kept: Idempotency, clock: Clock
) -> None:
    dead = await claimed(kept)
    clock.now_s = NOW_S + LEASE_S
    await claimed(kept, REPEATED)
    async with kept.held(dead):
        pass
    other = replace(REPEATED, request_id="req_3", fingerprint="another")
    assert await kept.begin(other) == Mismatch()


async def test_a_living_owner_keeps_its_claim_for_as_long_as_it_takes(database: Database) -> None:
    clock = Clock()
    kept = Idempotency(database, clock, lease_s=0.3)
    async with kept.held(await claimed(kept)):
        for _ in range(3):
            clock.now_s += 0.2
            await renewed_until(kept, clock.now_s + 0.29)
        assert await kept.begin(replace(REPEATED, fingerprint="another")) == Mismatch()


async def renewed_until(kept: Idempotency, until_s: float) -> None:
    """Wait until a lease is so long."""
    async with asyncio.timeout(60):
        while True:
            row = await kept._find(REPEATED)
            assert row is not None, "the lease has run out"
            if row["held_until_ms"] >= until_s * 1000 - 1:
                return
            await asyncio.sleep(0.01)


async def test_what_is_too_long_is_not_kept(
    kept: Idempotency, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(idempotency_module, "MAX_BODY_BYTES", 10)
    await do(kept, REQUEST, replace(ANSWER, body=b"x" * 11))
    assert "too long" in caplog.text
    await do(kept, REPEATED, replace(ANSWER, body=b"x" * 10))
    assert isinstance(await kept.begin(REQUEST), StoredAnswer)


async def test_without_a_database_the_promise_is_not_made(
    kept: Idempotency, outage: Outage
) -> None:
    async with outage():
        with pytest.raises(OverloadedError):
            await kept.begin(REQUEST)


async def test_a_database_that_goes_away_meanwhile_does_not_spoil_the_answer(
    kept: Idempotency, outage: Outage, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    claim = await claimed(kept)
    async with outage():
        async with kept.held(claim):
            assert not await kept.finish(claim, ANSWER)
        assert "was not kept" in caplog.text
        assert logging.ERROR in {record.levelno for record in caplog.records}
    clock.now_s += LEASE_S
    assert isinstance(await kept.begin(REPEATED), Claim)


async def test_the_oldest_answers_of_a_caller_make_room(
    kept: Idempotency, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency_module, "MAX_KEPT_BYTES", 2_500)
    answer = replace(ANSWER, body=os.urandom(1_000))
    rival = replace(REQUEST, caller="kr_bbbbbbbb")
    await do(kept, rival, answer)
    for key in ("one", "two", "three"):
        clock.now_s += 1
        await do(kept, replace(REQUEST, key=key), answer)
    assert await kept.begin(replace(REPEATED, key="two")) == answer
    assert await kept.begin(replace(REPEATED, key="three")) == answer
    assert await kept.begin(rival) == answer
    assert isinstance(await kept.begin(replace(REPEATED, key="one")), Claim)
