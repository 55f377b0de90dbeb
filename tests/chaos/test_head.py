"""The head of a Ray is lost, and another takes its place."""

import random
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from tests.chaos.cluster import application, send, told, until
from tests.chaos.conftest import Note
from tests.chaos.ledger import check_ledger
from tests.chaos.load import Load
from tests.chaos.started_ray import StartedRay, started_ray

# So many that each ingress has called each replica: it finds one through the GCS, the first time.
BEFORE, AFTER = 40, 12  # answers
HEAD_AWAY_S = 20
MAX_GAP_S = 10.0
LIVE_PRICE_USD = 0.04

Loads = Callable[..., Load]


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartedRay]:
    folder = tmp_path_factory.mktemp("chaos-head")
    with started_ray(folder, application(folder)) as running:
        yield running


def test_serve_deploy_changes_a_price_while_clients_are_served(
    cluster: StartedRay, load: Loads, note: Note
) -> None:
    schema = cluster.schema
    with load() as clients:
        clients.until_answers(AFTER)
        (old_price_usd,) = clients.prices_usd()
        cluster.deploy(told(schema, "Ingress", {"api": {"price_usd": LIVE_PRICE_USD}}))
        applied_s = until(lambda: LIVE_PRICE_USD in clients.prices_usd())
        clients.until_everybody_was_answered()
    cluster.deploy(told(schema, "Ingress", {}))
    report = clients.report
    note(f"{report.line()}, the first new price {applied_s:.1f} s after the command's end")
    assert not report.failures
    assert report.orders[-1].last.cost_usd == LIVE_PRICE_USD != old_price_usd
    check_ledger(cluster.url, report)


def test_while_a_head_is_away_clients_are_served_and_the_next_one_heals(
    cluster: StartedRay, load: Loads, chance: random.Random, note: Note
) -> None:
    with load() as before:
        before.until_answers(BEFORE)
    # No request is on its way through the head's own proxy, as `cluster/` sends none there: an
    # ingress that has one stands still for up to a minute, in Ray's own code (2.60).
    cluster.kill_head()
    with load() as clients:
        began_at = time.monotonic()
        clients.until_everybody_was_answered()
        time.sleep(max(0.0, began_at + HEAD_AWAY_S - time.monotonic()))
        cluster.start_head()
        whole_s = cluster.until_healthy()
        send(signal.SIGKILL, chance.choice(cluster.replicas("Denoiser")))
        clients.until_everybody_was_answered()
        healed_s = cluster.until_healthy()
        clients.until_answers(AFTER)
    report = clients.report
    note(
        f"{report.line()}, whole {whole_s:.1f} s after another head began, "
        f"a denoiser killed then healed after {healed_s:.1f} s"
    )
    assert not report.failures
    check_ledger(cluster.url, report)
    assert report.longest_gap_s <= MAX_GAP_S
