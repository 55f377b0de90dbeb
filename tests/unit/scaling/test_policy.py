"""Up at once, down after a while, in proportion, within bounds, and without flapping."""

import random
from itertools import pairwise
from math import inf, nan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.config import ScalingConfig
from serve_app.scaling.load import ApplicationLoad
from serve_app.scaling.policy import Memory, denoisers_wanted, plan
from tests.unit.scaling.loads import application, denoiser, stage

MOST_CHANGES_PER_MINUTE = 8

RULES = ScalingConfig(
    work_per_denoiser_s=10,
    headroom=1.5,
    hold_s=60,
    hold_last_s=300,
    denoisers_per_replica={"TextEncoder": 8, "Vae": 8, "ImageWriter": 2},
)


def targets(loads: list[ApplicationLoad], rules: ScalingConfig = RULES) -> list[dict[str, int]]:
    memory, decided = Memory(), []
    for load in loads:
        found, memory = plan(load, memory, rules)
        decided.append(found)
    return decided


def denoisers(loads: list[ApplicationLoad]) -> list[int]:
    return [found["Denoiser"] for found in targets(loads)]


@pytest.mark.parametrize(
    ("work_s", "wanted"), [(0.1, 1), (10, 1), (10.1, 2), (95, 10), (10_000, 100)]
)
def test_denoisers_follow_the_seconds_of_work(work_s: float, wanted: int) -> None:
    assert denoisers([application(0, denoiser(work_s))]) == [wanted]


def test_one_large_picture_counts_as_many_small_ones() -> None:
    large, small = denoiser(80, num_pictures=1), denoiser(80, num_pictures=40)
    assert denoisers_wanted(large, RULES) == denoisers_wanted(small, RULES) == 8


def test_a_burst_is_answered_in_the_very_decision_that_sees_it() -> None:
    calm, burst = application(0, denoiser(5)), application(0.1, denoiser(500))
    assert denoisers([calm, burst]) == [1, 50]


def test_what_was_needed_lately_is_not_taken_away() -> None:
    burst = application(0, denoiser(100))
    later = [application(second, denoiser(5)) for second in (30, 59, 60, 90)]
    assert denoisers([burst, *later]) == [10, 10, 10, 1, 1]


def test_a_steady_stream_keeps_denoisers_though_none_waits() -> None:
    idle = application(0, denoiser(0, arriving=4))
    assert denoisers([idle]) == [7]  # 4 + 1.5 * root of 4


def test_the_room_kept_grows_with_the_root_only() -> None:
    found = [denoisers_wanted(denoiser(0, arriving=each), RULES) for each in (1, 25, 400)]
    assert found == [2, 32, 430]


def test_without_work_there_are_none_but_not_at_once() -> None:
    loads = [application(0, denoiser(5)), application(299, denoiser(0))]
    assert denoisers([*loads, application(301, denoiser(0))]) == [1, 1, 0]


def test_the_least_and_the_most_are_kept() -> None:
    bounds = {"least": 2, "most": 6}
    assert denoisers([application(0, denoiser(0, **bounds))]) == [2]
    assert denoisers([application(0, denoiser(1e9, **bounds))]) == [6]


def test_a_picture_of_unknown_cost_gets_one_denoiser() -> None:
    unknown = denoiser(None, num_pictures=50, target=0)
    assert denoisers([application(0, unknown)]) == [1]


def test_stages_follow_the_denoisers_that_are_to_come() -> None:
    stages = [stage("TextEncoder"), stage("Vae"), stage("ImageWriter"), stage("Ingress", least=1)]
    (found,) = targets([application(0, denoiser(170), *stages)])
    assert found == {"Denoiser": 17, "TextEncoder": 3, "Vae": 3, "ImageWriter": 9, "Ingress": 1}


def test_a_stage_also_follows_its_own_requests() -> None:
    stages = [stage("TextEncoder", num_requests=21), stage("Ingress", num_requests=9)]
    (found,) = targets([application(0, denoiser(5), *stages)])
    assert found == {"Denoiser": 1, "TextEncoder": 6, "Ingress": 3}


def test_a_request_that_waits_for_a_stage_without_replicas_brings_it_back() -> None:
    stages = [stage("TextEncoder", num_requests=1), stage("Vae"), stage("ImageWriter")]
    asleep = application(0, denoiser(None, num_pictures=1, target=0), *stages)
    (found,) = targets([asleep])
    assert found == {"Denoiser": 1, "TextEncoder": 1, "Vae": 1, "ImageWriter": 1}


numbers = st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from([0.0, inf, nan])


@settings(deadline=None)  # others may use the machine
@given(work_s=numbers | st.none(), pictures=numbers, arriving=numbers, own=numbers, target=numbers)
def test_it_never_raises_and_keeps_the_bounds(
    work_s: float | None, pictures: float, arriving: float, own: float, target: float
) -> None:
    load = application(
        0,
        denoiser(work_s, num_pictures=pictures, arriving=arriving, least=1, most=9),
        stage("Vae", own, least=1, most=5),
    )
    rules = RULES.model_copy(update={"denoisers_per_replica": {"Vae": target}})
    (found,) = targets([load], rules)
    assert 1 <= found["Denoiser"] <= 9
    assert 1 <= found["Vae"] <= 5


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    mean_s=st.floats(1, 2000),
    spread=st.floats(0, 0.9),
    period_s=st.sampled_from([0.1, 0.5, 1.0]),
)
def test_steady_noise_does_not_flap(
    seed: int, mean_s: float, spread: float, period_s: float
) -> None:
    rng = random.Random(seed)
    times = [tick * period_s for tick in range(int(600 / period_s))]
    loads = [
        application(now, denoiser(mean_s * rng.uniform(1 - spread, 1 + spread))) for now in times
    ]
    found = denoisers(loads)
    changes = [
        now
        for now, before, after in zip(times[1:], found, found[1:], strict=False)
        if after != before and now > RULES.hold_s
    ]
    most = max((sum(start <= now < start + 60 for now in changes) for start in changes), default=0)
    assert most <= MOST_CHANGES_PER_MINUTE


def test_what_there_is_when_it_begins_is_held() -> None:
    """As after the death of Serve's controller, when no replica has reported to the new one."""
    unheard = [denoiser(0, target=7), denoiser(0, target=7), denoiser(65, target=7)]
    assert denoisers([application(0.1 * n, each) for n, each in enumerate(unheard)]) == [7, 7, 7]
    idle = [application(now, denoiser(0, target=7)) for now in (0, 59, 61, 299, 301)]
    assert denoisers(idle) == [7, 7, 1, 1, 0]


def test_without_a_hold_the_same_noise_does_flap() -> None:
    rng = random.Random(1)
    hasty = RULES.model_copy(update={"hold_s": 0.01, "hold_last_s": 0.01})
    loads = [application(0.1 * tick, denoiser(rng.uniform(50, 150))) for tick in range(600)]
    found = [each["Denoiser"] for each in targets(loads, hasty)]
    changes = sum(before != after for before, after in pairwise(found))
    assert changes > 10 * MOST_CHANGES_PER_MINUTE
