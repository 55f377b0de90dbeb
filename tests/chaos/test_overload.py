"""More requests than there is room for."""

import asyncio
import time
from collections.abc import Callable

from tests.chaos.cluster import ChaosCluster
from tests.chaos.conftest import Note
from tests.chaos.flood import REFUSALS, flood
from tests.chaos.footprint import footprints, growths
from tests.chaos.load import Load
from tests.chaos.pictures import Pictures

# So short that a queue of the flood's length cannot be worth waiting in.
ARGS = {"api": {"deadline_s": 15}}
# So long that refusing takes a small part of the two cores that the pictures need as well.
NUM_STEPS = 50

OVERLOAD, FLOOD_S = 10, 60
MIN_GOODPUT = 0.9  # of what it does without a flood
MAX_REFUSAL_S = 0.25  # of all but the slowest hundredth
# Client, proxies and stages share two cores: one refusal in hundreds meets a process that has
# neither. A refusal that had stood in a queue of pictures would take longer.
MAX_SLOWEST_REFUSAL_S = 1.5
MAX_RECOVERY_S = 5.0
# After the flood, of before: what is kept of each refused request would be more.
MAX_GROWTH = 1.5

Loads = Callable[..., Load]


def test_ten_times_too_many_are_refused_at_once_and_in_order(
    cluster: ChaosCluster, pictures: Pictures, load: Loads, note: Note
) -> None:
    with load(num_clients=6) as quiet:
        quiet.until_answers(30)
    capacity_hz = quiet.report.answers_per_s
    before = footprints(cluster.replicas("Ingress"))
    began_at = time.monotonic()
    seen = asyncio.run(flood(cluster.url, pictures, OVERLOAD * capacity_hz, FLOOD_S))
    goodput_hz = seen.count(200) / (time.monotonic() - began_at)
    with load() as after:
        recovered_s = after.until_everybody_was_answered()
        after.until_answers(6)
    grown = growths(before, cluster.replicas("Ingress"))
    note(
        f"capacity {capacity_hz:.1f}/s, {len(seen.answers)} asked, {seen.count(200)} ok "
        f"({goodput_hz:.1f}/s, p99 {seen.took_s(0.99, 200):.1f} s), "
        f"{seen.count(*REFUSALS)} refused (p50 {seen.took_s(0.5, *REFUSALS):.2f} s, "
        f"p99 {seen.took_s(0.99, *REFUSALS):.2f} s, slowest {seen.took_s(1, *REFUSALS):.2f} s), "
        f"faults {seen.faults()}; afterwards p50 {after.report.latency_s(0.5):.2f} s, "
        f"recovered after {recovered_s:.1f} s, ingresses {[each.line() for each in grown]}"
    )
    assert seen.faults() == set()
    assert not after.report.failures
    assert goodput_hz >= MIN_GOODPUT * capacity_hz
    assert seen.took_s(0.99, *REFUSALS) <= MAX_REFUSAL_S
    assert seen.took_s(1, *REFUSALS) <= MAX_SLOWEST_REFUSAL_S
    assert recovered_s <= MAX_RECOVERY_S
    assert all(each.most <= MAX_GROWTH for each in grown)
