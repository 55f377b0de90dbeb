"""One thing after another is killed, for minutes."""

import random
import signal
import time
from collections import Counter
from collections.abc import Callable

import psutil
import pytest

from tests.chaos.cluster import ChaosCluster, send
from tests.chaos.conftest import Note
from tests.chaos.ledger import check_ledger
from tests.chaos.load import Load

SOAK_S = 180
PAUSE_S = 3
DEPLOYMENTS = ("Ingress", "TextEncoder", "Denoiser", "Vae", "ImageWriter")
MIN_SUCCESS = {0: 0.99, 1: 0.999}  # by how often a client tries again

Loads = Callable[..., Load]


def victims(cluster: ChaosCluster) -> dict[str, list[psutil.Process]]:
    """Return what may be killed: never the last one of its kind, but for the controller."""
    spared = {name: cluster.replicas(name) for name in DEPLOYMENTS}
    spared["proxy"] = cluster.proxies()
    found = {kind: processes for kind, processes in spared.items() if len(processes) > 1}
    return found | {"controller": cluster.titled("ServeController")}


@pytest.mark.timeout(900)  # which the first one's cluster counts to
@pytest.mark.parametrize("num_retries", [0, 1])
def test_random_kills_cost_next_to_nothing(
    cluster: ChaosCluster, load: Loads, chance: random.Random, note: Note, num_retries: int
) -> None:
    killed: Counter[str] = Counter()
    with load(num_retries=num_retries) as clients:
        ends_at = time.monotonic() + SOAK_S
        while time.monotonic() < ends_at:
            found = {kind: each for kind, each in victims(cluster).items() if each}
            if found:  # else all are the last of their kind
                kind = chance.choice(sorted(found))
                send(signal.SIGKILL, chance.choice(found[kind]))
                killed[kind] += 1
            time.sleep(PAUSE_S)
        clients.until_everybody_was_answered()
    report = clients.report
    note(f"{report.line()}, success {report.success_ratio:.2%}, killed {dict(killed)}")
    check_ledger(cluster.url, report)
    assert report.num_pages == 0
    assert report.success_ratio >= MIN_SUCCESS[num_retries]
