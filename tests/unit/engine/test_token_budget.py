"""The budget is near to where a machine is saturated, whatever it is that costs time below it."""

import random
from collections.abc import Callable, Sequence
from itertools import count

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from serve_app.engine.cost_model import CostModel
from serve_app.engine.packed import PackedTransformer
from serve_app.engine.token_budget import (
    CROWDED_S,
    FILLED,
    MAX_ROUNDS,
    MAX_SECONDS,
    MIN_ROUNDS,
    NUM_FLAT,
    SATURATED,
    TOKENS,
    Measured,
    Run,
    is_crowded,
    measure_token_budget,
    measured_runs,
    saturating_tokens,
    typical,
)
from serve_app.stages.transformer import TransformerStage

StepS = Callable[[int], float]
S_PER_TOKEN = 3e-5  # of FLUX.1 at 484 TFLOP/s, about
# How near to the truth the budget has to be, by the noise of a measurement. A step that is wrong
# by a few percent moves the point where 95 % are reached by far more tokens than that.
FACTORS = {0.0: 1.5, 0.01: 2.0, 0.03: 4.0}
NUM_SEEDS = 200


def adds(overhead_tokens: int) -> tuple[StepS, float]:
    """Return a machine that takes the overhead besides, and the tokens at which it is saturated."""
    return lambda tokens: (overhead_tokens + tokens) * S_PER_TOKEN, SATURATED / (
        1 - SATURATED
    ) * overhead_tokens


def hides(floor_tokens: int) -> tuple[StepS, float]:
    """Return the same of one that works while it waits for the next launch, and is never faster."""
    return lambda tokens: max(floor_tokens, tokens) * S_PER_TOKEN, SATURATED * floor_tokens


MACHINES = {
    "adds": adds(20),
    "adds much": adds(60),
    "hides": hides(898),  # eager FLUX.1: 25 ms of launches
    "hides a little": hides(250),
    "hides much": hides(3000),
}


def alone(step_s: StepS) -> Callable[[int], Run]:
    """Return its runs on a machine that nothing else runs on."""

    def run(num_tokens: int) -> Run:
        seconds = step_s(num_tokens)
        return Run(seconds, seconds)

    return run


def measured_sizes(step_s: StepS) -> Sequence[Measured]:
    return typical(measured_runs(alone(step_s)))


def with_noise(noise: float, step_s: StepS, seed: int) -> StepS:
    rng = random.Random(seed)
    return lambda tokens: step_s(tokens) * (1 + rng.gauss(0, noise))


@pytest.mark.parametrize(("noise", "factor"), FACTORS.items())
@pytest.mark.parametrize(("step_s", "truth"), MACHINES.values(), ids=MACHINES)
def test_it_is_within_a_factor_of_the_truth(
    step_s: StepS, truth: float, noise: float, factor: float
) -> None:
    for seed in range(NUM_SEEDS):
        budget = saturating_tokens(measured_sizes(with_noise(noise, step_s, seed)))
        assert truth / factor < budget < truth * factor, seed


@given(
    machine=st.sampled_from(sorted(MACHINES)),
    spikes=st.lists(
        st.lists(st.floats(1, 1000), min_size=MIN_ROUNDS // 2, max_size=MIN_ROUNDS // 2),
        min_size=MAX_ROUNDS,
        max_size=MAX_ROUNDS,
    ),
    seed=st.integers(0, 2**32),
)
def test_spikes_in_a_minority_of_the_runs_move_it_by_less_than_a_size(
    machine: str, spikes: list[list[float]], seed: int
) -> None:
    """Of any three runs of a size one takes up to a thousand times as long, each size another."""
    step_s, _ = MACHINES[machine]
    rng = random.Random(seed)
    left: dict[int, list[float]] = {num_tokens: [] for num_tokens in TOKENS}
    groups = {num_tokens: iter(spikes) for num_tokens in TOKENS}

    def spiked_s(num_tokens: int) -> float:
        factors = left[num_tokens]
        if not factors:
            group = next(groups[num_tokens])
            factors += [*group, *[1.0] * (MIN_ROUNDS - len(group))]
            rng.shuffle(factors)
        return step_s(num_tokens) * factors.pop() * rng.uniform(1, 1.005)

    budget = saturating_tokens(measured_sizes(spiked_s))
    assert 1 / 2 < budget / saturating_tokens(measured_sizes(step_s)) < 2


def test_two_of_three_runs_may_be_disturbed() -> None:
    assert typical({96: [Run(50.0, 50.0), Run(1.0, 1.0), Run(7.0, 7.0)]}) == [(96, 1.0)]


def test_of_many_runs_the_fastest_is_luck() -> None:
    runs = [Run(seconds, seconds) for seconds in (0.1, *[1.0] * 10, *[9.0] * 4)]
    assert typical({96: runs}) == [(96, 1.0)]


@pytest.mark.parametrize("num_spoiled", [1, 3, 5])
@pytest.mark.parametrize("machine", MACHINES)
def test_a_while_in_which_all_runs_are_disturbed_moves_it_by_less_than_a_size(
    machine: str, num_spoiled: int
) -> None:
    """Wherever in the profile it lies: one size's runs are not all in it."""
    step_s, _ = MACHINES[machine]
    undisturbed = saturating_tokens(measured_sizes(step_s))
    for first in range(MAX_ROUNDS * len(TOKENS)):
        number, spoiled = count(), range(first, first + num_spoiled)

        def spoiled_s(num_tokens: int) -> float:
            return step_s(num_tokens) * (50 if next(number) in spoiled else 1)  # noqa: B023

        assert 1 / 2 < saturating_tokens(measured_sizes(spoiled_s)) / undisturbed < 2, first


@pytest.mark.parametrize(
    ("own_share", "seconds", "expected"),
    [
        (0.3, 4 * CROWDED_S, True),
        (0.3, CROWDED_S, False),  # too little to tell
        (0.9, 40 * CROWDED_S, False),  # a long wait, but of much longer runs
    ],
)
def test_crowded_is_where_most_of_the_time_is_spent_waiting(
    own_share: float, seconds: float, expected: bool
) -> None:
    half = Run(seconds / 2, own_share * seconds / 2)
    assert is_crowded([[half], [half]]) is expected


def test_a_crowded_machine_is_found_out_at_once() -> None:
    runs = measured_runs(lambda _: Run(1.0, 0.1))
    assert runs == {TOKENS[0]: [Run(1.0, 0.1)]}


@pytest.mark.parametrize("disturbed", TOKENS)
@pytest.mark.parametrize(("step_s", "truth"), MACHINES.values(), ids=MACHINES)
def test_a_disturbed_size_moves_it_little(step_s: StepS, truth: float, disturbed: int) -> None:
    """Other work had the machine in most rounds of a size, which so takes fifty times as long."""
    measured = measured_sizes(lambda tokens: step_s(tokens) * (50 if tokens == disturbed else 1))
    assert truth / 2 < saturating_tokens(measured) < truth * 2.5


def test_steps_that_take_equally_long_do_not_end_it() -> None:
    # Each a little faster than the one before, which no line through them has a slope for.
    seconds = dict(
        zip(TOKENS, (0.0253, 0.0252, 0.0251, 0.025, 0.045, 0.09, 0.18, 0.36), strict=True)
    )
    measured = measured_sizes(lambda tokens: seconds[tokens])
    assert 768 < saturating_tokens(measured) < 1536


def test_it_ends_when_two_sizes_gain_nothing() -> None:
    step_s, _ = hides(150)
    assert len(measured_sizes(step_s)) == 2 + NUM_FLAT


def test_where_nothing_is_gained_by_sharing_the_smallest_size_is_enough() -> None:
    assert saturating_tokens(measured_sizes(lambda tokens: tokens * S_PER_TOKEN)) == TOKENS[0]


def test_where_overhead_is_all_the_largest_sizes_are_wanted() -> None:
    measured = measured_sizes(lambda _: 1.0)
    assert len(measured) == len(TOKENS)
    assert saturating_tokens(measured) > TOKENS[-2]


@pytest.mark.parametrize("size_s", [1e-3, 0.4, 3.0, 100.0])
def test_it_ends_in_time(size_s: float) -> None:
    """Each size takes twice the one before; only the first is measured whatever it takes."""
    now = 0.0

    def step_s(num_tokens: int) -> float:
        nonlocal now
        now += size_s * num_tokens / TOKENS[0]
        return 1.0

    measured_runs(alone(step_s), lambda: now)
    assert size_s <= now <= max(MAX_SECONDS, size_s)


def test_it_ends_in_what_is_left_of_the_time() -> None:
    clock = count()
    runs = measured_runs(alone(lambda _: 1.0), lambda: next(clock), max_s=7)
    assert 1 <= next(clock) <= 8
    assert sum(map(len, runs.values())) <= 3


def test_it_is_measured_on_the_model_and_teaches_the_cost_model(
    transformer: TransformerStage,
) -> None:
    model, packed = CostModel(s_per_flop=1.0), PackedTransformer(transformer.transformer)
    num_threads = torch.get_num_threads()
    # Of so small a model nearly everything is overhead: a picture of 6 + 24 tokens fits many times.
    assert FILLED * measure_token_budget(transformer, packed, model) > 300
    assert 0 < model.s_per_flop < 1e-6
    assert 0 < model.overhead_s < 1
    assert torch.get_num_threads() == num_threads
