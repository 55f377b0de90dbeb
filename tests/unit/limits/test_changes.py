"""Limits that an operator changes while requests come."""

import asyncio

import pytest

from serve_app.errors import InvalidRequestError
from serve_app.limits.gate import RENEWAL_PERIOD_S
from serve_app.limits.meters import Amounts
from tests.unit.limits.simulation import Cluster, limits, run


async def changed(cluster: Cluster, allowed: Amounts) -> None:
    """Change the limits, and let every ingress hear of it."""
    assert cluster.network.ledger is not None
    cluster.network.ledger.change(allowed)
    await asyncio.sleep(RENEWAL_PERIOD_S + 0.1)


@pytest.mark.parametrize("num_ingresses", [1, 3])
def test_what_was_used_up_counts_against_a_higher_limit(num_ingresses: int) -> None:
    async def scenario() -> None:
        cluster = await Cluster.of(num_ingresses, limits(requests=10))
        assert await cluster.send_many(15) == 10
        await changed(cluster, limits(requests=14))
        assert await cluster.send_many(15) == 4

    run(scenario())


def test_a_lower_limit_holds_at_once_and_whoever_waits_gets_in_later() -> None:
    async def scenario() -> None:
        cluster = await Cluster.of(2, limits(requests=10))
        assert await cluster.send_many(8) == 8
        await changed(cluster, limits(requests=4))
        assert await cluster.send_many(8) == 0
        await asyncio.sleep(60)
        assert await cluster.send_many(8) == 4

    run(scenario())


def test_a_limit_that_was_not_there_counts_what_came_before_it() -> None:
    async def scenario() -> None:
        cluster = await Cluster.of(2, limits(requests=100))
        assert await cluster.send(0, num_images=3)
        await changed(cluster, limits(requests=100, images=5))
        assert not await cluster.send(0, num_images=3)
        assert await cluster.send(1, num_images=2)
        with pytest.raises(InvalidRequestError, match="Must be at most 5"):
            await cluster.send(1, num_images=6)

    run(scenario())


def test_limits_that_are_lifted_limit_nothing() -> None:
    async def scenario() -> None:
        cluster = await Cluster.of(2, limits(requests=3, images=3, concurrent=3))
        assert await cluster.send_many(5) == 3
        await changed(cluster, {})
        assert await cluster.send_many(50) == 50

    run(scenario())


def test_a_limit_of_those_that_run_counts_from_then_on() -> None:
    async def scenario() -> None:
        cluster = await Cluster.of(1, limits(requests=100))
        (gate,) = cluster.gates
        await changed(cluster, limits(requests=100, concurrent=1))
        async with gate.admit("kr_a", 1):
            assert not await cluster.send(0)
        assert await cluster.send(0)

    run(scenario())


def test_an_ingress_that_is_alone_goes_by_the_limits_it_heard_of() -> None:
    async def scenario() -> None:
        cluster = await Cluster.of(2, limits(requests=100))
        await changed(cluster, limits(requests=8))
        cluster.network.ledger = None
        assert await cluster.send_many(40) == 8

    run(scenario())
