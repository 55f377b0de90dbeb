"""How many tokens a step should have: where more of them stop to make the machine faster.

Below the budget further pictures ride along almost free of charge, beyond it they only make each
other wait. It is measured when the engine starts, on the machine and the model it is for.
"""

import time
from collections.abc import Callable, Sequence
from statistics import fmean, median

import torch

from serve_app.engine.cost_model import CostModel, FluxGeometry
from serve_app.engine.packed import PackedInputs, PackedTransformer
from serve_app.stages.transformer import TransformerStage

SATURATED = 0.95  # of the tokens per second of the best size
TOKENS = (96, 192, 384, 768, 1536, 3072, 6144, 12288)
# Of a measured picture, for each dimension inside: 768 for FLUX.1, those of 256x256. So few that
# attention, whose work grows with their square, has a small part in it.
TOKENS_PER_DIM = 1 / 4
MIN_ROUNDS = 3  # of which one may be disturbed
MAX_ROUNDS = 15
LONG_S = 0.5  # of all rounds of one size: what takes longer is told well enough by the fewest
# After so many sizes in a row without a gain there is none to come: one may have been disturbed.
NUM_FLAT = 2
# Of the tokens per second of a smaller size: what has less was disturbed in most of its rounds.
DISTURBED = 0.8
MAX_SECONDS = 10.0

Measured = tuple[int, float]  # tokens of a step, and the seconds that it takes


def measure_token_budget(
    transformer: TransformerStage, packed: PackedTransformer, cost_model: CostModel
) -> int:
    """Run steps of more and more tokens; return the budget, and teach the cost model."""

    def step_s(num_tokens: int) -> float:
        inputs, flops = _inputs(transformer, num_tokens)
        seconds = typical_s(lambda: _run_s(packed, inputs, transformer.device))
        cost_model.observe(flops, seconds, id(transformer.transformer))
        return seconds

    return token_budget_of(measured_sizes(step_s))


def measured_sizes(
    step_s: Callable[[int], float], clock: Callable[[], float] = time.monotonic
) -> Sequence[Measured]:
    """Measure larger and larger steps, until they gain nothing or the time is up.

    Args:
        step_s: Measures a step of so many tokens.
        clock: In seconds.
    """
    started, measured = clock(), list[Measured]()
    for num_tokens in TOKENS:
        size_started = clock()
        measured.append((num_tokens, step_s(num_tokens)))
        # The next size has twice the tokens, and takes up to about twice as long to measure.
        next_s = 2 * (clock() - size_started)
        if _is_flat(measured) or clock() + next_s - started > MAX_SECONDS:
            break
    return measured


def typical_s(run_s: Callable[[], float]) -> float:
    """Return the median of several runs' seconds: fewer, where each takes long.

    The first of a size may have to prepare something, and other work makes some slow.
    """
    seconds = list[float]()
    while len(seconds) < MIN_ROUNDS or (len(seconds) < MAX_ROUNDS and sum(seconds) < LONG_S):
        seconds.append(run_s())
    return median(seconds)


def token_budget_of(measured: Sequence[Measured]) -> int:
    """Return the fewest tokens of which a step has 95 % of the best tokens per second.

    Args:
        measured: By their tokens; between two of them the seconds are taken for a line.
    """
    measured = _undisturbed(measured)
    speeds = _speeds(measured)
    enough = SATURATED * speeds[-1]
    index = next(index for index, speed in enumerate(speeds) if speed >= enough)
    if index == 0:
        return measured[0][0]
    less, more = measured[index - 1][0], measured[index][0]
    less_s, more_s = less / speeds[index - 1], more / speeds[index]
    slope = (more_s - less_s) / (more - less)
    # Where tokens = enough * (seconds of so many tokens), on the line through both.
    return int(enough * (less_s - slope * less) / (1 - enough * slope))


def _is_flat(measured: Sequence[Measured]) -> bool:
    """Whether the last sizes have gained less than 5 % on the one before them."""
    speeds = _speeds(_undisturbed(measured))
    return len(speeds) > NUM_FLAT and SATURATED * speeds[-1] < speeds[-1 - NUM_FLAT]


def _undisturbed(measured: Sequence[Measured]) -> Sequence[Measured]:
    kept, best = list[Measured](), 0.0
    for num_tokens, seconds in measured:
        speed = num_tokens / seconds
        if speed >= DISTURBED * best:
            kept.append((num_tokens, seconds))
        best = max(best, speed)
    return kept


def _speeds(measured: Sequence[Measured]) -> Sequence[float]:
    """Return the tokens per second of each size, without what noise makes of a plateau.

    None is slower than a smaller one: those that were measured so get the mean of theirs, so that
    the best of many equal ones is not the luckiest.
    """
    blocks = list[list[float]]()
    for num_tokens, seconds in measured:
        block = [num_tokens / seconds]
        while blocks and fmean(blocks[-1]) >= fmean(block):
            block = blocks.pop() + block
        blocks.append(block)
    return [fmean(block) for block in blocks for _ in block]


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
def _run_s(packed: PackedTransformer, inputs: PackedInputs, device: torch.device) -> float:
    started = time.monotonic()
    hidden = packed.first_block(packed.embed(inputs))
    packed.head(packed.other_blocks(hidden), hidden)
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
    return time.monotonic() - started
