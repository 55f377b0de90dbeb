"""The promises of the limits, over several ingresses and a Limiter that may die."""

import asyncio
import logging
from contextlib import AsyncExitStack

import pytest

from serve_app.limits.admission import limit_headers
from serve_app.limits.contact import CALL_TIMEOUT_S
from tests.unit.limits.simulation import Cluster, limits, run

# The last is high enough for leases.
LIMITS = [1, 3, 60, 960]


@pytest.mark.parametrize("limit", [*LIMITS, 6000])
@pytest.mark.parametrize("num_ingresses", [1, 4])
def test_a_flood_is_admitted_up_to_the_limit(limit: int, num_ingresses: int) -> None:
    async def scenario() -> None:
        cluster = await Cluster.of(num_ingresses, limits(requests=limit))
        admitted = await cluster.send_many(limit * 3 // 2 + num_ingresses)
        assert limit <= admitted <= limit * 1.1

    run(scenario())


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("num_ingresses", [1, 2, 4])
def test_a_steady_crowd_is_admitted_up_to_the_limit_in_every_minute(
    limit: int, num_ingresses: int
) -> None:
    async def scenario() -> None:
        cluster = await Cluster.of(num_ingresses, limits(requests=limit))
        num_sent = limit * 3 // 2 + 40
        for _ in range(2):
            admitted = await cluster.send_steadily(num_sent, 59.5)
            assert limit <= admitted <= limit * 1.1
            await asyncio.sleep(1)

    run(scenario())


def test_images_are_counted_each() -> None:
    async def scenario() -> None:
        cluster = await Cluster.of(3, limits(images=100))
        sent = (cluster.send(index, num_images=4) for index in range(60))
        assert sum(await asyncio.gather(*sent)) == 25

    run(scenario())


def test_most_requests_below_a_high_limit_are_decided_without_a_call() -> None:
    async def scenario() -> None:
        cluster = await Cluster.of(2, limits(requests=6000))
        assert await cluster.send_steadily(1000, 20) == 1000
        assert sum(bool(ask.needs) for ask in cluster.network.asks) < 200

    run(scenario())


def test_a_client_that_does_not_stop_costs_the_limiter_few_calls() -> None:
    async def scenario() -> None:
        cluster = await Cluster.of(2, limits(requests=3))
        assert await cluster.send_steadily(2000, 20) == 3
        assert len(cluster.network.asks) < 200

    run(scenario())


def test_what_is_left_of_a_lease_is_there_for_others() -> None:
    async def scenario() -> None:
        cluster = await Cluster.of(2, limits(requests=6000))
        for _ in range(100):
            assert await cluster.send(0)
            await asyncio.sleep(0.3)
        admitted = sum(await asyncio.gather(*(cluster.send(1) for _ in range(6000))))
        assert admitted == 5900

    run(scenario())


def test_a_greedy_key_takes_nothing_from_a_modest_one() -> None:
    async def scenario() -> None:
        cluster = await Cluster.of(2, limits(requests=60, concurrent=4))
        greedy = asyncio.ensure_future(cluster.send_steadily(6000, 55, key="kr_greedy"))
        assert await cluster.send_steadily(50, 55, key="kr_modest") == 50
        assert await greedy <= 66

    run(scenario())


@pytest.mark.parametrize("is_frozen", [True, False], ids=["frozen", "dead"])
@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("num_ingresses", [1, 4])
def test_after_the_limiter_dies_no_minute_sees_twice_the_limit(
    limit: int, num_ingresses: int, is_frozen: bool
) -> None:
    async def scenario() -> None:
        cluster = await Cluster.of(num_ingresses, limits(requests=limit))
        # All of it at one ingress: that is the worst, for the others know of nothing.
        admitted = sum(await asyncio.gather(*(cluster.send(0) for _ in range(limit + 5))))
        assert admitted == limit
        cluster.network.is_frozen = is_frozen
        cluster.network.ledger = None
        admitted += await cluster.send_many(3 * limit + 20)
        await asyncio.sleep(5)
        admitted += await cluster.send_many(3 * limit + 20)
        assert limit <= admitted <= 2 * limit

    run(scenario())


def test_alone_the_ingresses_admit_the_limit_together() -> None:
    async def scenario() -> None:
        cluster = await Cluster.of(3, limits(requests=100))
        cluster.network.ledger = None
        assert await cluster.send_many(400) == 100
        # Refused or not.
        assert sum(gate.num_decided_alone for gate in cluster.gates) == 400

    run(scenario())


@pytest.mark.parametrize("num_ingresses", [1, 4])
def test_a_limiter_that_comes_back_knows_soon_what_was_admitted(num_ingresses: int) -> None:
    async def scenario() -> None:
        cluster = await Cluster.of(num_ingresses, limits(requests=100))
        admitted = await cluster.send_many(60)
        cluster.network.ledger = None
        admitted += await cluster.send_many(20)
        await asyncio.sleep(2)
        cluster.network.restart()
        await asyncio.sleep(3)
        admitted += await cluster.send_many(400)
        assert admitted == 100

    run(scenario())


def test_requests_that_run_are_not_forgotten_with_the_limiter() -> None:
    async def scenario() -> None:
        cluster = await Cluster.of(2, limits(concurrent=4))
        async with AsyncExitStack() as held:
            for index in range(4):
                await cluster.start(index, held)
            cluster.network.ledger = None
            assert await cluster.send_many(10) == 0
            await asyncio.sleep(2)
            cluster.network.restart()
            await asyncio.sleep(3)
            assert await cluster.send_many(10) == 0
        assert await cluster.send_many(4) == 4

    run(scenario())


def test_a_dead_limiter_delays_only_the_first_requests() -> None:
    async def scenario() -> None:
        cluster = await Cluster.of(1, limits(requests=1000))
        cluster.network.is_frozen = True
        loop = asyncio.get_running_loop()
        waits = []
        for _ in range(10):
            began_at_s = loop.time()
            assert await cluster.send(0)
            waits.append(loop.time() - began_at_s)
        assert waits[0] == pytest.approx(CALL_TIMEOUT_S)
        assert waits[1:] == [0] * 9

    run(scenario())


def test_the_log_does_not_repeat_itself(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        cluster = await Cluster.of(1, limits(requests=1000))
        cluster.network.ledger = None
        await cluster.send_steadily(100, 20)

    with caplog.at_level(logging.INFO):
        run(scenario())
    assert len(caplog.records) == 1


@pytest.mark.parametrize("is_dead", [False, True])
def test_remaining_is_never_negative(is_dead: bool) -> None:
    async def scenario() -> None:
        allowed = limits(requests=7, images=20, concurrent=3)
        cluster = await Cluster.of(3, allowed)
        if is_dead:
            cluster.network.ledger = None
        for index in range(40):
            await cluster.send(index, num_images=1 + index % 5)
            for gate in cluster.gates:
                headers = limit_headers(gate._account("kr_a").levels(gate._clock()))
                remaining = [int(v) for name, v in headers.items() if "remaining" in name]
                assert min(remaining, default=0) >= 0
            await asyncio.sleep(0.7)

    run(scenario())
