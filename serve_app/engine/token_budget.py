"""How many tokens a step may have: as many as fill it up to where more make the machine no faster.

Below that further pictures ride along almost free of charge, beyond it they only make each other
wait. It is measured when the engine starts, on the machine and the model it is for.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from statistics import fmean
from typing import NamedTuple

import torch

from serve_app.engine.cost_model import CostModel, FluxGeometry
from serve_app.engine.packed import PackedInputs, PackedTransformer
from serve_app.stages.transformer import TransformerStage

SATURATED = 0.95  # of the tokens per second of the best size
# Of a budget, what is filled at the least where there are enough pictures, all of one size or not:
# one of more than a half is alone, smaller ones leave less than one of them empty.
FILLED = 1 / 2
TOKENS = (96, 192, 384, 768, 1536, 3072, 6144, 12288)
# Of a measured picture, for each dimension inside: 768 for FLUX.1, those of 256x256. So few that
# attention, whose work grows with their square, has a small part in it.
TOKENS_PER_DIM = 1 / 4
MIN_ROUNDS = 3  # of every size, of which two may be disturbed
MAX_ROUNDS = 15
LONG_S = 0.5  # of all runs of one size: what takes longer is told well enough by the fewest
# Of a size's runs, the share that is faster than the one that counts. Other work only ever makes a
# run slower, so the fast ones are the true ones; the very fastest of many is luck.
QUANTILE = 1 / 4
# After so many sizes in a row without a gain there is none to come: one may have been disturbed.
NUM_FLAT = 2
# Of the tokens per second of a smaller size: what has less was disturbed in most of its rounds.
DISTURBED = 0.8
MAX_SECONDS = 10.0
# Of all runs together, the time that the thread was kept waiting: from so much on, and if it is
# most of their time, nothing that is measured with all threads is to be believed.
CROWDED_S = 0.25
CROWDED = 0.5

Measured = tuple[int, float]  # tokens of a step, and the seconds that it takes


class Run(NamedTuple):
    """One step that was measured.

    Attributes:
        seconds: That count for it.
        own_s: Of them, those in which the thread was not kept from its core.
    """

    seconds: float
    own_s: float


Runs = Mapping[int, Sequence[Run]]  # by the tokens of the step


def measure_token_budget(
    transformer: TransformerStage, packed: PackedTransformer, cost_model: CostModel
) -> int:
    """Run steps of more and more tokens, and teach the cost model.

    Returns:
        The budget of which whole pictures fill as much as saturates the machine.
    """
    started = time.monotonic()
    steps = {num_tokens: _inputs(transformer, num_tokens) for num_tokens in TOKENS}

    def run(num_tokens: int) -> Run:
        return _run(packed, steps[num_tokens][0], transformer.device)

    def lonely_run(num_tokens: int) -> Run:
        own_s = run(num_tokens).own_s
        return Run(own_s, own_s)

    runs = measured_runs(run)
    if is_crowded(runs.values()):
        with _one_thread():
            runs = measured_runs(lonely_run, max_s=MAX_SECONDS - (time.monotonic() - started))
    measured = typical(runs)
    for num_tokens, seconds in measured:
        cost_model.observe(steps[num_tokens][1], seconds, id(transformer.transformer))
    return int(saturating_tokens(measured) / FILLED)


def measured_runs(
    run: Callable[[int], Run],
    clock: Callable[[], float] = time.monotonic,
    max_s: float = MAX_SECONDS,
) -> Runs:
    """Run each size once in a round, so that what disturbs a while disturbs all of them.

    A size is begun when the smaller ones are known a little and still gain. It ends when all are
    known well, when the time is up, or when the machine is crowded; the smallest is run once even
    if there is no time.

    Args:
        run: Measures a step of so many tokens.
        clock: In seconds.
        max_s: For all runs, by the clock.
    """
    ends = clock() + max_s
    runs, least_s = dict[int, list[Run]](), dict[int, float]()
    is_over = False
    while not is_over:
        is_over = True
        for num_tokens in _next_round(runs):
            run_started = clock()
            if runs and _foreseen_s(num_tokens, least_s) > ends - run_started:
                continue
            runs.setdefault(num_tokens, []).append(run(num_tokens))
            run_s = clock() - run_started
            least_s[num_tokens] = min(run_s, least_s.get(num_tokens, run_s))
            if is_crowded(runs.values()):
                return runs
            is_over = False
    return runs


def is_crowded(runs: Iterable[Sequence[Run]]) -> bool:
    """Whether other work had the cores for most of the time of these runs.

    Threads that share a step wait for one another many times in it. If others have the cores, each
    of these waits takes a turn of theirs: a step takes a hundred times as long, for as many
    seconds as the system leaves the threads where they are, and no number of rounds is enough.
    """
    flat = [run for of_size in runs for run in of_size]
    all_s = sum(run.seconds for run in flat)
    waited_s = all_s - sum(run.own_s for run in flat)
    return waited_s > max(CROWDED_S, CROWDED * all_s)


def typical(runs: Runs) -> Sequence[Measured]:
    """Return each size and the seconds that a step of it takes if nothing disturbs it."""
    return [(num_tokens, _typical_s(runs[num_tokens])) for num_tokens in sorted(runs)]


def _typical_s(runs: Sequence[Run]) -> float:
    return sorted(run.seconds for run in runs)[int(QUANTILE * (len(runs) - 1))]


def _next_round(runs: Runs) -> Sequence[int]:
    """Return the sizes that more is to be known of."""
    sizes = [num_tokens for num_tokens in runs if not _is_known(runs[num_tokens])]
    # Not before each has some rounds: one that was disturbed in its only one looks like a plateau.
    is_begun = all(len(of_size) >= MIN_ROUNDS for of_size in runs.values())
    if is_begun and not _is_flat(typical(runs)):
        sizes.extend(TOKENS[len(runs) : len(runs) + 1])
    return sizes


def _is_known(runs: Sequence[Run]) -> bool:
    # By what is typical, for else those that are disturbed the longest would be run the least.
    is_long = len(runs) * _typical_s(runs) >= LONG_S
    return len(runs) >= (MIN_ROUNDS if is_long else MAX_ROUNDS)


def _foreseen_s(num_tokens: int, least_s: Mapping[int, float]) -> float:
    """Return the seconds to have left for a size: those of a run, or if it is new, of its rounds.

    Args:
        num_tokens: Of the size.
        least_s: By the clock, of each size that was run.
    """
    if num_tokens in least_s:
        return least_s[num_tokens]
    # Twice the tokens of the one before take up to about twice as long.
    return MIN_ROUNDS * 2 * least_s[max(least_s)]


def saturating_tokens(measured: Sequence[Measured]) -> int:
    """Return the fewest tokens of which a step has 95 % of the best tokens per second.

    Args:
        measured: By their tokens; between two of them the seconds are taken for a line.
    """
    measured = _undisturbed(measured)
    speeds = _speeds(measured)
    enough = SATURATED * _plateau(speeds)
    index = next(index for index, speed in enumerate(speeds) if speed >= enough)
    if index == 0:
        return measured[0][0]
    (less, less_s), (more, more_s) = measured[index - 1], measured[index]
    slope = (more_s - less_s) / (more - less)
    # Where tokens = enough * (seconds of so many tokens), on the line through both.
    return int(enough * (less_s - slope * less) / (1 - enough * slope))


def _is_flat(measured: Sequence[Measured]) -> bool:
    """Whether none of the last sizes has gained 5 % on the one before them."""
    speeds = _speeds(_undisturbed(measured))
    if len(speeds) <= NUM_FLAT:
        return False
    return SATURATED * max(speeds[-NUM_FLAT:]) < speeds[-1 - NUM_FLAT]


def _plateau(speeds: Sequence[float]) -> float:
    """Return the best tokens per second.

    It is the mean of two neighbours, for the best alone would be the luckiest of many equal ones.
    Larger sizes may be slower than it, where what they work on is too large for a cache.
    """
    return max(map(fmean, pairwise(speeds)), default=speeds[0])


def _speeds(measured: Sequence[Measured]) -> Sequence[float]:
    return [num_tokens / seconds for num_tokens, seconds in measured]


def _undisturbed(measured: Sequence[Measured]) -> Sequence[Measured]:
    kept, best = list[Measured](), 0.0
    for num_tokens, seconds in measured:
        speed = num_tokens / seconds
        if speed >= DISTURBED * best:
            kept.append((num_tokens, seconds))
        best = max(best, speed)
    return kept


def _inputs(transformer: TransformerStage, num_tokens: int) -> tuple[PackedInputs, float]:
    """Return pictures of so many tokens in all, and the operations of a step of theirs."""
    config = transformer.transformer.config
    geometry = FluxGeometry.of(config)
    count = max(1, round(num_tokens / (geometry.inner_dim * TOKENS_PER_DIM)))
    image_tokens = max(1, num_tokens // count // 3)
    text_tokens = num_tokens // count - image_tokens

    def noise(*shape: int) -> torch.Tensor:
        return transformer.to_device(torch.randn(shape))

    inputs = PackedInputs(
        latents=[noise(image_tokens, config["in_channels"])] * count,
        prompt_embeds=[noise(text_tokens, config["joint_attention_dim"])] * count,
        pooled_prompt_embeds=noise(count, config["pooled_projection_dim"]),
        timesteps=torch.full([count], 500.0, device=transformer.device),
        guidance_scales=torch.full([count], 4.5, device=transformer.device),
        latent_image_ids=[transformer.to_device(torch.zeros(image_tokens, 3))] * count,
    )
    return inputs, count * geometry.step_flops(image_tokens, text_tokens)


@torch.no_grad()
def _run(packed: PackedTransformer, inputs: PackedInputs, device: torch.device) -> Run:
    started, own_started = time.monotonic(), time.thread_time()
    hidden = packed.first_block(packed.embed(inputs))
    packed.head(packed.other_blocks(hidden), hidden)
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
        # The thread may rest while the device works for it.
        seconds = time.monotonic() - started
        return Run(seconds, seconds)
    return Run(time.monotonic() - started, time.thread_time() - own_started)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let this thread do its arithmetic alone, which so waits for no other thread's turn."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        # Compiled graphs are of one number of threads: others would be made for this, and stay.
        with torch.compiler.set_stance("force_eager"):
            yield
    finally:
        torch.set_num_threads(num_threads)
