"""The budget is found on machines that add their overhead, and on those that hide work in it."""

import random
from collections.abc import Callable
from statistics import median

import pytest

from serve_app.engine.saturation import SATURATED, Curve, Step, fitted, shows_plateau
from serve_app.engine.token_budget import TOKENS

MACHINES = {
    "adds its overhead": Curve(floor_s=0.0, overhead_s=0.002, s_per_token=1e-5),
    "adds a little": Curve(floor_s=0.0, overhead_s=0.0005, s_per_token=1e-5),
    "hides it, fast": Curve(floor_s=0.025, overhead_s=0.0, s_per_token=2.8e-5),
    "hides it, slow": Curve(floor_s=0.025, overhead_s=0.0, s_per_token=1e-4),
    "hides some": Curve(floor_s=0.020, overhead_s=0.0005, s_per_token=2e-5),
}


def measured(machine: Curve, noise: Callable[[], float] = lambda: 0.0) -> list[Step]:
    """Return what is measured until enough was seen."""
    steps = list[Step]()
    for num_tokens in TOKENS:
        steps.append(Step(num_tokens, machine.seconds(num_tokens) * (1 + noise())))
        if shows_plateau(steps):
            break
    return steps


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
def test_tokens_per_second_are_as_near_to_their_most_as_it_says(machine: Curve) -> None:
    at = machine.saturated_at
    per_s = at / max(machine.floor_s, machine.overhead_s + machine.s_per_token * at)
    assert per_s * machine.s_per_token == pytest.approx(SATURATED)


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
def test_without_noise_it_is_found(machine: Curve) -> None:
    steps = measured(machine)
    assert len(steps) < len(TOKENS), "it ends once enough was seen"
    assert fitted(steps).saturated_at == pytest.approx(machine.saturated_at, rel=0.02)


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
def test_with_noise_it_is_near(machine: Curve) -> None:
    found = []
    for seed in range(100):
        rng = random.Random(seed)
        # Each is the least of some rounds: others slow it down, and nothing makes it faster.
        steps = measured(machine, lambda rng=rng: abs(rng.gauss(0, 0.01)))  # type: ignore[misc]
        found.append(fitted(steps).saturated_at / machine.saturated_at)
    assert 0.7 < median(found) < 1.5
    assert min(found) > 0.3
    assert max(found) < 2.5


def test_where_nothing_is_gained_by_sharing_one_token_is_enough() -> None:
    machine = Curve(floor_s=0.0, overhead_s=0.0, s_per_token=1e-3)
    assert fitted(measured(machine)).saturated_at == pytest.approx(0, abs=1)
