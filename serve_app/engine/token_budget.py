"""How many tokens a step should have: where more of them stop to make the machine faster.

Below the budget further pictures ride along almost free of charge, beyond it they only make each
other wait. It is measured when the engine starts, on the machine and the model it is for.
"""

import time

import torch

from serve_app.engine.cost_model import CostModel, FluxGeometry
from serve_app.engine.packed import PackedInputs, PackedTransformer
from serve_app.stages.transformer import TransformerStage

SATURATED = 0.95  # of the tokens per second that ever larger steps come near to
TOKENS = (96, 192, 384, 768, 1536, 3072, 6144, 12288)
# Of a measured picture, for each dimension inside: 768 for FLUX.1, those of 256x256. So few that
# attention, whose work grows with their square, has a small part in it.
TOKENS_PER_DIM = 1 / 4
NUM_ROUNDS = 4
MIN_SIZES = 4
MAX_SECONDS = 20.0


def measure_token_budget(
    transformer: TransformerStage, packed: PackedTransformer, cost_model: CostModel
) -> int:
    """Run steps of more and more tokens; return the budget, and teach the cost model.

    A single size's speed is as noisy as the machine, and the plateau flat: so the budget comes
    from the line through all of them.
    """
    started = time.monotonic()
    budget = 0
    for number, num_tokens in enumerate(TOKENS, start=1):
        inputs, flops = _inputs(transformer, num_tokens)
        cost_model.observe(flops, _step_s(packed, inputs, transformer.device))
        budget = token_budget_of(cost_model, flops / num_tokens)
        is_known = number >= MIN_SIZES and num_tokens > 2 * budget
        if is_known or time.monotonic() - started > MAX_SECONDS:
            break
    return min(budget, num_tokens)


def token_budget_of(cost_model: CostModel, flops_per_token: float) -> int:
    """Return the tokens of which a step's overhead is 5 %: the tokens per second lack as much."""
    overhead_flops = cost_model.overhead_s / cost_model.s_per_flop
    return max(1, int(SATURATED / (1 - SATURATED) * overhead_flops / flops_per_token))


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
def _step_s(packed: PackedTransformer, inputs: PackedInputs, device: torch.device) -> float:
    seconds = []
    for _ in range(NUM_ROUNDS):
        started = time.monotonic()
        hidden = packed.first_block(packed.embed(inputs))
        packed.head(packed.other_blocks(hidden), hidden)
        if device.type != "cpu":
            torch.accelerator.synchronize(device)
        seconds.append(time.monotonic() - started)
    # What else the machine did made some of them slower, and none faster.
    return min(seconds)
