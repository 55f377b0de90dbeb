"""One gate: places are held while requests run, and are free when they end, however they end."""

import asyncio
import re
from contextlib import AsyncExitStack

import pytest

from serve_app.errors import InvalidRequestError, RateLimitedError
from serve_app.limits.clock import NS_PER_S
from serve_app.limits.protocol import LEASE_NS, SLOT_TTL_NS
from tests.unit.limits.simulation import Cluster, limits, run

LEASE_S = LEASE_NS / NS_PER_S
SLOT_TTL_S = SLOT_TTL_NS / NS_PER_S


def test_an_answer_says_what_is_left() -> None:
    async def scenario() -> None:
        cluster = await Cluster.of(1, limits(requests=60, images=8))
        async with cluster.gates[0].admit("kr_a", 3) as admission:
            headers = dict(admission.headers)
        # To the tick at which the Limiter counted them, and the way back from there.
        resets = {headers.pop(f"x-ratelimit-reset-{meter}") for meter in ("requests", "images")}
        assert len(resets) == 1
        assert re.fullmatch(r"1m0\.0\d*s", resets.pop())
        assert headers == {
            "x-ratelimit-limit-requests": "60",
            "x-ratelimit-remaining-requests": "59",
            "x-ratelimit-limit-images": "8",
            "x-ratelimit-remaining-images": "5",
        }

    run(scenario())


def test_a_refusal_says_when_to_come_back_and_then_there_is_room() -> None:
    async def scenario() -> None:
        cluster = await Cluster.of(1, limits(requests=2))
        assert await cluster.send_many(2) == 2
        await asyncio.sleep(20)
        with pytest.raises(RateLimitedError) as refused:
            async with cluster.gates[0].admit("kr_a", 1):
                pass
        assert refused.value.retry_after_s in (40, 41)
        assert refused.value.headers["x-ratelimit-remaining-requests"] == "0"
        assert refused.value.reason == "requests"
        await asyncio.sleep(refused.value.retry_after_s)
        assert await cluster.send(0)

    run(scenario())


def test_more_images_than_any_minute_has_are_refused_without_asking() -> None:
    async def scenario() -> None:
        cluster = await Cluster.of(1, limits(images=4))
        with pytest.raises(InvalidRequestError, match="Must be at most 4"):
            async with cluster.gates[0].admit("kr_a", 5):
                pass
        assert cluster.network.asks == []
        assert await cluster.send(0, num_images=4)

    run(scenario())


def test_who_comes_without_a_key_shares_with_all_who_do() -> None:
    async def scenario() -> None:
        cluster = await Cluster.of(2, limits(requests=3))
        assert await cluster.send_many(9, key=None) == 3
        assert await cluster.send(0, key="kr_a")

    run(scenario())


def test_requests_at_a_time_are_counted_while_they_run_and_no_longer() -> None:
    async def scenario() -> None:
        cluster = await Cluster.of(2, limits(concurrent=2))
        async with AsyncExitStack() as held:
            await cluster.start(0, held)
            last = await cluster.start(1, held)
            assert last.headers == {
                "x-ratelimit-limit-concurrent-requests": "2",
                "x-ratelimit-remaining-concurrent-requests": "0",
            }
            assert await cluster.send_many(4) == 0
            assert await cluster.send(0, key="kr_b")
        assert await cluster.send_many(2) == 2

    run(scenario())


def test_a_request_may_run_for_long() -> None:
    async def scenario() -> None:
        cluster = await Cluster.of(2, limits(concurrent=1))
        async with AsyncExitStack() as held:
            await cluster.start(0, held)
            for _ in range(20):
                await asyncio.sleep(SLOT_TTL_S / 2)
                assert not await cluster.send(1)
        # The other ingress asks again when its last answer is old.
        await asyncio.sleep(LEASE_S)
        assert await cluster.send(1)

    run(scenario())


def test_a_place_given_back_early_is_free_before_the_block_ends() -> None:
    async def scenario() -> None:
        cluster = await Cluster.of(2, limits(concurrent=1))
        async with AsyncExitStack() as held:
            admission = await cluster.start(0, held)
            await admission.release()
            assert await cluster.send(1)

    run(scenario())


@pytest.mark.parametrize("failure", [ValueError("bug"), asyncio.CancelledError()])
def test_a_request_that_fails_gives_its_place_back(failure: BaseException) -> None:
    async def scenario() -> None:
        cluster = await Cluster.of(2, limits(concurrent=1))
        with pytest.raises(type(failure)):
            async with cluster.gates[0].admit("kr_a", 1):
                raise failure
        assert await cluster.send(1)

    run(scenario())


def test_a_client_that_leaves_while_it_waits_to_be_admitted_holds_nothing() -> None:
    async def scenario() -> None:
        cluster = await Cluster.of(2, limits(concurrent=1))
        async with AsyncExitStack() as held:
            waiting = asyncio.ensure_future(cluster.start(0, held))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        assert len(cluster.network.asks) == 1, "it left while the question was under way"
        await asyncio.sleep(0.1)
        assert await cluster.send(1)

    run(scenario())


def test_a_killed_ingress_holds_its_places_for_a_few_seconds_only() -> None:
    async def scenario() -> None:
        cluster = await Cluster.of(1, limits(concurrent=2))
        doomed = await Cluster.of(1, limits(concurrent=2))
        doomed.gates[0]._contact._limiter = cluster.network
        async with AsyncExitStack() as held:
            await doomed.start(0, held)
            await doomed.start(0, held)
            assert not await cluster.send(0)
            for task in doomed.gates[0]._tasks:
                task.cancel()
            await asyncio.sleep(SLOT_TTL_S + 0.1)
            assert await cluster.send_many(2) == 2

    run(scenario())


def test_keys_that_come_and_go_leave_no_trace() -> None:
    async def scenario() -> None:
        cluster = await Cluster.of(2, limits(requests=5, concurrent=2))
        for index in range(400):
            await cluster.send(index, key=f"kr_{index}")
        assert cluster.gates[0].num_keys == 200
        await asyncio.sleep(70)
        assert [gate.num_keys for gate in cluster.gates] == [0, 0]
        assert cluster.network.ledger is not None
        assert cluster.network.ledger.num_keys == 0

    run(scenario())


def test_what_was_refused_just_now_is_refused_before_anything_is_spent_on_it() -> None:
    async def scenario() -> None:
        cluster = await Cluster.of(1, limits(requests=2, images=4))
        gate = cluster.gates[0]
        assert await cluster.send_many(2) == 2
        gate.check("kr_a", 1)
        with pytest.raises(RateLimitedError):
            async with gate.admit("kr_a", 1):
                pass
        num_asks = len(cluster.network.asks)
        with pytest.raises(RateLimitedError):
            gate.check("kr_a", 1)
        gate.check("kr_b", 1)
        with pytest.raises(InvalidRequestError, match="Must be at most 4"):
            gate.check("kr_b", 5)
        assert len(cluster.network.asks) == num_asks

    run(scenario())
