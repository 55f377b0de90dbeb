"""The budget is near to where a machine is saturated, whatever it is that costs time below it."""

import random
from collections.abc import Callable
from itertools import count

import pytest

from serve_app.engine.cost_model import CostModel
from serve_app.engine.packed import PackedTransformer
from serve_app.engine.token_budget import (
    MAX_SECONDS,
    NUM_FLAT,
    TOKENS,
    measure_token_budget,
    measured_sizes,
    token_budget_of,
    typical_s,
)
from serve_app.stages.transformer import TransformerStage

StepS = Callable[[int], float]
S_PER_TOKEN = 3e-5  # of FLUX.1 at 484 TFLOP/s, about
# How near to the truth the budget has to be, by the noise of a measurement. A step that is wrong
# by a few percent moves the point where 95 % are reached by far more tokens than that.
FACTORS = {0.0: 1.5, 0.01: 2.0, 0.03: 4.0}
NUM_SEEDS = 200


def adds(overhead_tokens: int) -> tuple[StepS, float]:
    """Return a machine that takes the overhead besides, and the tokens at 95 % of its best."""
    return lambda tokens: (overhead_tokens + tokens) * S_PER_TOKEN, 19 * overhead_tokens


def hides(floor_tokens: int) -> tuple[StepS, float]:
    """Return the same of one that works while it waits for the next launch, and is never faster."""
    return lambda tokens: max(floor_tokens, tokens) * S_PER_TOKEN, 0.95 * floor_tokens


MACHINES = {
    "adds": adds(20),
    "adds much": adds(60),
    "hides": hides(898),  # eager FLUX.1: 25 ms of launches
    "hides a little": hides(250),
    "hides much": hides(3000),
}


def measured_with(noise: float, step_s: StepS, seed: int) -> StepS:
    rng = random.Random(seed)
    return lambda tokens: typical_s(lambda: step_s(tokens) * (1 + rng.gauss(0, noise)))


@pytest.mark.parametrize(("noise", "factor"), FACTORS.items())
@pytest.mark.parametrize(("step_s", "truth"), MACHINES.values(), ids=MACHINES)
def test_it_is_within_a_factor_of_the_truth(
    step_s: StepS, truth: float, noise: float, factor: float
) -> None:
    for seed in range(NUM_SEEDS):
        budget = token_budget_of(measured_sizes(measured_with(noise, step_s, seed)))
        assert truth / factor < budget < truth * factor, seed


def test_a_disturbed_run_does_not_count() -> None:
    runs = iter([50.0, 1.0, 1.0])
    assert typical_s(lambda: next(runs)) == 1.0


@pytest.mark.parametrize("disturbed", TOKENS)
@pytest.mark.parametrize(("step_s", "truth"), MACHINES.values(), ids=MACHINES)
def test_a_disturbed_size_moves_it_little(step_s: StepS, truth: float, disturbed: int) -> None:
    """Other work had the machine in most rounds of a size, which so takes fifty times as long."""
    measured = measured_sizes(lambda tokens: step_s(tokens) * (50 if tokens == disturbed else 1))
    assert truth / 2 < token_budget_of(measured) < truth * 2.5


def test_steps_that_take_equally_long_do_not_end_it() -> None:
    # Each a little faster than the one before, which no line through them has a slope for.
    seconds = dict(
        zip(TOKENS, (0.0253, 0.0252, 0.0251, 0.025, 0.045, 0.09, 0.18, 0.36), strict=True)
    )
    measured = measured_sizes(lambda tokens: seconds[tokens])
    assert 768 < token_budget_of(measured) < 1536


def test_it_ends_when_two_sizes_gain_nothing() -> None:
    step_s, _ = hides(150)
    assert len(measured_sizes(step_s)) == 2 + NUM_FLAT


def test_where_nothing_is_gained_by_sharing_the_smallest_size_is_enough() -> None:
    assert token_budget_of(measured_sizes(lambda tokens: tokens * S_PER_TOKEN)) == TOKENS[0]


def test_where_overhead_is_all_the_largest_sizes_are_wanted() -> None:
    measured = measured_sizes(lambda _: 1.0)
    assert len(measured) == len(TOKENS)
    assert token_budget_of(measured) > TOKENS[-2]


@pytest.mark.parametrize("size_s", [1e-3, 0.4, 3.0, 100.0])
def test_it_ends_in_time(size_s: float) -> None:
    """Each size takes twice the one before; only the first is measured whatever it takes."""
    now = 0.0

    def step_s(_: int) -> float:
        nonlocal now
        now += size_s * 2 ** next(number)
        return 1.0

    number = count()
    measured_sizes(step_s, lambda: now)
    assert now <= max(MAX_SECONDS, size_s)


def test_it_is_measured_on_the_model_and_teaches_the_cost_model(
    transformer: TransformerStage,
) -> None:
    model, packed = CostModel(s_per_flop=1.0), PackedTransformer(transformer.transformer)
    # Of so small a model nearly everything is overhead: a picture of 6 + 24 tokens fits many times.
    # Its steps of milliseconds take a second where others have all cores: too few fit the time.
    assert any(measure_token_budget(transformer, packed, model) > 300 for _ in range(3))
    assert 0 < model.s_per_flop < 1e-6
    assert 0 <= model.overhead_s < MAX_SECONDS
