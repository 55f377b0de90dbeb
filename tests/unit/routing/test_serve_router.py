"""Serve's router with our choice in it, without a cluster."""

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest
from ray.serve._private.common import (
    DeploymentHandleSource,
    DeploymentID,
    ReplicaID,
    RequestMetadata,
)
from ray.serve.request_router import PendingRequest

from serve_app.engine.outlook import Load, Outlook
from serve_app.messages import DenoiseParams, Priority, Size
from serve_app.routing.report import Report
from serve_app.routing.serve_router import WorkRouter, asked_of
from serve_app.routing.standings import Asked

DENOISER = DeploymentID("Denoiser", "krea-serve")


class Replica:
    """As much of a running replica as a router that asks nobody looks at."""

    def __init__(self, name: str, left_s: float | None) -> None:
        self.replica_id = ReplicaID(name, DENOISER)
        self.node_id, self.availability_zone = "node", None
        self.max_ongoing_requests, self.multiplexed_model_ids = 64, set[str]()
        self.routing_stats = {} if left_s is None else report_of(left_s).as_stats()


def report_of(left_s: float) -> Report:
    """Return what a replica says whose work is all due at once."""
    outlook = Outlook.of([Load(Priority.STANDARD, 0.0, left_s)])
    return Report(1, outlook, s_per_pixel_step=1e-6, slo_factor=3.0)


def pending(steps: int = 10) -> PendingRequest:
    params = DenoiseParams("req_1", 0, Size(1000, 500), 1, steps, 4.5)
    metadata = RequestMetadata(request_id="r", internal_request_id="i")
    return PendingRequest(["embeds", params], {}, metadata)


def router_of(*replicas: Replica) -> WorkRouter:
    router = WorkRouter(
        deployment_id=DENOISER,
        handle_source=DeploymentHandleSource.REPLICA,
        use_replica_queue_len_cache=True,
    )
    router.initialize_state()
    router._replicas = {replica.replica_id: replica for replica in replicas}
    router._replicas_list = list(replicas)
    router._replica_id_set = set(router._replicas)
    for name in router._replicas:
        router._replica_queue_len_cache.update(name, 0)
    return router


async def choice(router: WorkRouter, *replicas: Replica) -> list[list[str]]:
    # Due so late that all that was sent goes before it.
    request = pending(steps=50)
    ranks: Any = await router.choose_replicas(list(replicas), request)
    return [[replica.replica_id.unique_id for replica in rank] for rank in ranks]


async def test_it_ranks_by_work() -> None:
    replicas = [Replica("a", 7.0), Replica("b", 2.0), Replica("c", 4.0)]
    router = router_of(*replicas)
    assert await choice(router, *replicas) == [["b"], ["c"], ["a"]]


async def test_requests_that_come_together_do_not_go_together() -> None:
    replicas = [Replica("a", 6.0), Replica("b", 2.0), Replica("c", 4.0)]
    router = router_of(*replicas)
    # Each of five seconds of work, and nobody has said yet that it was taken.
    choices = (router._choose_replica_for_request(pending()) for _ in range(4))
    chosen = await asyncio.gather(*choices)
    assert [replica.replica_id.unique_id for replica in chosen] == ["b", "c", "a", "b"]


async def test_it_counts_the_request_that_has_its_turn() -> None:
    replicas = [Replica("a", 0.0), Replica("b", 2.0)]
    router = router_of(*replicas)
    gone, small, large = pending(), pending(steps=1), pending(steps=40)
    gone.future.cancel()
    router._pending_requests_to_fulfill.extend([gone, small, large])
    router._fulfill_next_pending_request(replicas[0], large.metadata)
    assert small.future.result() is replicas[0]
    assert not large.future.done()
    assert await choice(router, *replicas) == [["a"], ["b"]]
    router._fulfill_next_pending_request(replicas[0], small.metadata)
    assert await choice(router, *replicas) == [["b"], ["a"]]


async def test_where_work_is_not_known_serve_chooses_two() -> None:
    replicas = [Replica("a", 7.0), Replica("b", None), Replica("c", 4.0)]
    (rank,) = await choice(router_of(*replicas), *replicas)
    assert len(rank) == 2


async def test_no_replica_is_no_choice() -> None:
    assert await choice(router_of()) == []


@pytest.mark.parametrize("args", [(), ("x", 3)])
def test_what_denoises_nothing_is_no_work(args: tuple[object, ...]) -> None:
    assert asked_of(SimpleNamespace(args=args)) == Asked()
    assert asked_of(None) == Asked()


async def test_work_is_pixels_times_the_steps_that_are_run() -> None:
    assert asked_of(pending(steps=4)) == Asked(Priority.STANDARD, 1000 * 500 * 4)


def test_a_request_is_asked_for_until_it_is_over() -> None:
    params = DenoiseParams(
        "req_1",
        0,
        Size(1000, 500),
        1,
        10,
        4.5,
        strength=0.5,
        priority=Priority.BATCH,
        must_end_unix_s=time.time() + 60,
    )
    asked = asked_of(SimpleNamespace(args=("embeds", params)))
    assert (asked.priority, asked.pixel_steps) == (Priority.BATCH, 1000 * 500 * 5)
    assert 50 < asked.ends_in_s <= 60
