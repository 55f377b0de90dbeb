"""Minutes at four fifths of what the machine can do: nothing grows."""

import asyncio
from collections.abc import Callable

import pytest

from tests.chaos.cluster import ChaosCluster
from tests.chaos.conftest import Note
from tests.chaos.flood import flood
from tests.chaos.footprint import footprints, growths
from tests.chaos.load import Load
from tests.chaos.pictures import Pictures

LOAD = 0.8  # of what it does when it is never idle
# An ingress grows with its first thousand requests, and then hardly more.
WARM_UP_S, SOAK_S = 240, 300
MAX_GROWTH = 1.05
KINDS = ("ServeReplica", "ProxyActor", "ServeController")

Loads = Callable[..., Load]


@pytest.mark.timeout(1200)
def test_nothing_grows(cluster: ChaosCluster, pictures: Pictures, load: Loads, note: Note) -> None:
    with load() as busy:
        busy.until_answers(40)
    rate_hz = LOAD * busy.report.answers_per_s
    asyncio.run(flood(cluster.url, pictures, rate_hz, WARM_UP_S))
    processes = {kind: cluster.titled(kind) for kind in KINDS}
    before = {kind: footprints(of_kind) for kind, of_kind in processes.items()}
    seen = asyncio.run(flood(cluster.url, pictures, rate_hz, SOAK_S))
    grown = {kind: growths(before[kind], of_kind) for kind, of_kind in processes.items()}
    worst = {kind: max(of_kind, key=lambda each: each.most) for kind, of_kind in grown.items()}
    note(
        f"{len(seen.answers)} asked at {rate_hz:.1f}/s, {seen.count(200)} ok, "
        f"p50 {seen.took_s(0.5, 200):.2f} s, p99 {seen.took_s(0.99, 200):.2f} s, "
        f"faults {seen.faults()}; "
        + ", ".join(f"{kind} {each.line()}" for kind, each in worst.items())
    )
    assert seen.faults() == set()
    assert seen.count(200) == len(seen.answers)
    assert all(each.most <= MAX_GROWTH for each in worst.values())
