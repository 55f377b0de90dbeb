"""More requests than there is room for."""

import asyncio
import time
from collections.abc import Callable

import pytest

from tests.chaos.cluster import ChaosCluster
from tests.chaos.conftest import Note
from tests.chaos.flood import REFUSALS, flood
from tests.chaos.load import Load
from tests.chaos.pictures import Pictures

# So short that a queue of the flood's length cannot be worth waiting in.
ARGS = {"api": {"deadline_s": 15}}

OVERLOAD, FLOOD_S = 10, 30
MIN_GOODPUT = 0.9  # of what it does without a flood
MAX_REFUSAL_S = 0.25

Loads = Callable[..., Load]


@pytest.mark.xfail(
    strict=True,
    raises=AssertionError,
    reason="Only the denoiser refuses; in front of it requests queue without a bound, until 504.",
)
def test_ten_times_too_many_are_refused_at_once_and_in_order(
    cluster: ChaosCluster, pictures: Pictures, load: Loads, note: Note
) -> None:
    with load(num_clients=6) as quiet:
        quiet.until_answers(30)
    took_s = quiet.report.ended_at - quiet.report.began_at
    capacity_hz = len(quiet.report.fulfilled) / took_s
    began_at = time.monotonic()
    seen = asyncio.run(flood(cluster.url, pictures, OVERLOAD * capacity_hz, FLOOD_S))
    goodput_hz = seen.count(200) / (time.monotonic() - began_at)
    with load() as after:
        after.until_answers(6)
    note(
        f"capacity {capacity_hz:.1f}/s, {len(seen.answers)} asked, {seen.count(200)} ok "
        f"({goodput_hz:.1f}/s, p99 {seen.took_s(0.99, 200):.1f} s), "
        f"{seen.count(*REFUSALS)} refused (p50 {seen.took_s(0.5, *REFUSALS):.2f} s, "
        f"p99 {seen.took_s(0.99, *REFUSALS):.2f} s), "
        f"faults {seen.faults()}; afterwards p50 {after.report.latency_s(0.5):.2f} s"
    )
    assert seen.faults() == set()
    assert not after.report.failures
    assert goodput_hz >= MIN_GOODPUT * capacity_hz
    assert seen.took_s(0.99, *REFUSALS) <= MAX_REFUSAL_S
