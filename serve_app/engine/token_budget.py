"""How many tokens a step should have: where more of them stop to make the machine faster.

Below the budget further pictures ride along almost free of charge, beyond it they only make each
other wait. It is measured when the engine starts, on the machine and the model it is for.
"""

import time
from collections.abc import Mapping
from statistics import median

import torch

from serve_app.engine.cost_model import CostModel, FluxGeometry
from serve_app.engine.packed import PackedInputs, PackedTransformer
from serve_app.stages.transformer import TransformerStage

SATURATED = 0.95  # of the best tokens per second
PICTURE_TOKENS = 768  # at most: FLUX.1's for 256x256, of which a third is the picture's own
TOKENS = (96, 192, 384, 768, 1536, 2304, 3072, 4608, 6144, 9216)
NUM_ROUNDS = 3
MAX_SECONDS = 20.0
MAX_USELESS = 2  # sizes in a row that make nothing faster


def token_budget_of(seconds_of: Mapping[int, float]) -> int:
    """Return the least tokens that come within 5 % of the best tokens per second.

    Args:
        seconds_of: Of a step, by its tokens.
    """
    best = max(tokens / seconds for tokens, seconds in seconds_of.items())
    return min(
        tokens for tokens, seconds in seconds_of.items() if tokens / seconds >= SATURATED * best
    )


def measure_token_budget(transformer: TransformerStage, cost_model: CostModel) -> int:
    """Run steps of more and more tokens; return the budget, and teach the cost model."""
    seconds_of: dict[int, float] = {}
    started, num_useless = time.monotonic(), 0
    for num_tokens in TOKENS:
        inputs, flops = _inputs(transformer, num_tokens)
        seconds_of[num_tokens] = _step_s(transformer, inputs)
        cost_model.observe(flops, seconds_of[num_tokens])
        num_useless = num_useless + 1 if token_budget_of(seconds_of) < num_tokens else 0
        if num_useless == MAX_USELESS or time.monotonic() - started > MAX_SECONDS:
            break
    return token_budget_of(seconds_of)


def _inputs(transformer: TransformerStage, num_tokens: int) -> tuple[PackedInputs, float]:
    """Return pictures of so many tokens in all, and the operations of a step of theirs."""
    config, count = transformer.transformer.config, -(-num_tokens // PICTURE_TOKENS)
    image_tokens = num_tokens // count // 3
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
    return inputs, count * FluxGeometry.of(config).step_flops(image_tokens, text_tokens)


@torch.no_grad()
def _step_s(transformer: TransformerStage, inputs: PackedInputs) -> float:
    packed = PackedTransformer(transformer.transformer)
    seconds = []
    for _ in range(1 + NUM_ROUNDS):
        started = time.monotonic()
        hidden = packed.first_block(packed.embed(inputs))
        packed.head(packed.other_blocks(hidden), hidden)
        if transformer.device.type != "cpu":
            torch.accelerator.synchronize(transformer.device)
        seconds.append(time.monotonic() - started)
    # The first is the allocator's.
    return median(seconds[1:])
