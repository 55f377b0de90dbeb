"""One thing after another is killed, for minutes."""

import random
import signal
import time
from collections import Counter
from collections.abc import Callable

import psutil
import pytest

from tests.chaos.cluster import APP, ChaosCluster, send
from tests.chaos.conftest import Note
from tests.chaos.ledger import check_ledger
from tests.chaos.load import Load

SOAK_S = 180
PAUSE_S = 3
DEPLOYMENTS = ("Ingress", "TextEncoder", "Denoiser", "Vae", "ImageWriter")
KINDS = (*DEPLOYMENTS, "Limiter", "proxy", "controller")
MIN_SUCCESS = {0: 0.99, 1: 0.999}  # by how often a client tries again

Loads = Callable[..., Load]


def victims(cluster: ChaosCluster, kind: str) -> list[psutil.Process]:
    """Return what may be killed: never the last one that works, but where there is only one.

    One that was started in the place of another does not work yet.
    """
    controller = cluster.titled("ServeController")
    if kind == "controller" or not controller:  # without one nobody knows who works
        return controller
    if kind == "Limiter":
        return cluster.replicas(kind)
    status = cluster.do("status")
    if kind == "proxy":
        num_working, found = Counter(status["proxies"].values())["HEALTHY"], cluster.proxies()
    else:
        replicas = status["applications"][APP]["deployments"][kind]["replicas"]
        num_working, found = replicas.get("RUNNING", 0), cluster.replicas(kind)
    # Serve's view may be older than a death, and processes are there before they work.
    return found if min(num_working, len(found)) > 1 else []


@pytest.mark.timeout(900)  # which the first one's cluster counts to
@pytest.mark.parametrize("num_retries", [0, 1])
def test_random_kills_cost_next_to_nothing(
    cluster: ChaosCluster, load: Loads, chance: random.Random, note: Note, num_retries: int
) -> None:
    killed: Counter[str] = Counter()
    proxy_kills_at: list[float] = []
    with load(num_retries=num_retries) as clients:
        ends_at = time.monotonic() + SOAK_S
        while time.monotonic() < ends_at:
            kind = chance.choice(KINDS)
            found = victims(cluster, kind)
            if found:
                proxy_kills_at += [time.monotonic()] * (kind == "proxy")
                send(signal.SIGKILL, chance.choice(found))
                killed[kind] += 1
            time.sleep(PAUSE_S)
        clients.until_everybody_was_answered()
    report = clients.report
    note(f"{report.line()}, success {report.success_ratio:.2%}, killed {dict(killed)}")
    check_ledger(cluster.url, report)
    assert report.num_pages == 0
    for order in report.failed:
        # A client's connection ends with the proxy that it leads to.
        assert order.last.status == 0, order
        assert any(map(order.last.was_in_flight, proxy_kills_at)), order
    assert report.success_ratio >= MIN_SUCCESS[num_retries]
