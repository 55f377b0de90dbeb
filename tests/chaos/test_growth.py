"""A node joins with the traffic and leaves with it, on Ray's own autoscaler."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.chaos.cluster import ChaosCluster, application, chaos_cluster, until
from tests.chaos.conftest import Note
from tests.chaos.ledger import check_ledger
from tests.chaos.load import Load

MAX_NODES = 2
BEFORE, AFTER = 6, 20  # answers

POLICY = {
    "policy_function": "serve_app.scaling.serve_policy:ApplicationPolicy",
    "policy_kwargs": {
        "work_per_denoiser_s": 0.3,  # a client has a picture of about as much
        "headroom": 0,
        "hold_s": 4,
        "denoisers_per_replica": {},
    },
}
FOLLOWS_THE_WORK = {
    "min_replicas": 1,
    "max_replicas": MAX_NODES,
    "upscale_delay_s": 0,
    "downscale_delay_s": 0,
    "look_back_period_s": 2,
    "metrics_interval_s": 0.5,
    "aggregation_function": "max",
}

Loads = Callable[..., Load]


def growing(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the application with denoisers that follow the work, and one of all else."""
    app = schema["applications"][0]
    app["autoscaling_policy"] = POLICY
    for deployment in app["deployments"]:
        if deployment["name"] == "Denoiser":
            del deployment["num_replicas"]
            deployment["autoscaling_config"] = FOLLOWS_THE_WORK
        else:
            deployment["num_replicas"] = 1
    return schema


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChaosCluster]:
    folder = tmp_path_factory.mktemp("growth")
    with chaos_cluster(folder, growing(application(folder)), MAX_NODES) as running:
        yield running


def test_a_node_joins_with_the_traffic_and_leaves_with_it(
    cluster: ChaosCluster, load: Loads, note: Note
) -> None:
    def num_nodes() -> int:
        return len(cluster.do("gpu_nodes"))

    def running() -> int:
        denoisers: dict[str, int] = cluster.status()["deployments"]["Denoiser"]["replicas"]
        return denoisers.get("RUNNING", 0)

    with load(num_clients=1) as few:
        few.until_answers(BEFORE)
        assert (num_nodes(), running()) == (1, 1)
        with load(num_clients=10) as many:
            joined_s = until(lambda: num_nodes() == 2)
            placed_s = until(lambda: running() == 2)
            many.until_answers(AFTER)
        left_s = until(lambda: num_nodes() == 1)
        few.until_everybody_was_answered()
    note(
        f"a node joined {joined_s:.1f} s after the traffic grew, its denoiser worked "
        f"{placed_s:.1f} s later, and it was gone {left_s:.1f} s after the traffic fell; "
        f"meanwhile {few.report.line()}, and {many.report.line()}"
    )
    for report in (few.report, many.report):
        assert not report.failures
        check_ledger(cluster.url, report)
