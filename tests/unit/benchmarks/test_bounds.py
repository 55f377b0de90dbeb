"""The bounds count every multiplication of a step, and only those."""

from typing import Any

import pytest
import torch

from benchmarks.bounds import StepFlops, step_flops
from benchmarks.random_models import counted_flops
from tests.unit.stages.random_flux import LIKE_EMBEDDED, LIKE_FLUX, RandomFlux, transformer

FLUX: dict[str, Any] = {
    "num_layers": 19,
    "num_single_layers": 38,
    "attention_head_dim": 128,
    "num_attention_heads": 24,
    "in_channels": 64,
    "joint_attention_dim": 4096,
    "pooled_projection_dim": 768,
    "guidance_embeds": True,
}


@pytest.mark.parametrize("model", [LIKE_FLUX, LIKE_EMBEDDED], ids=["guidance", "no guidance"])
def test_a_step_has_as_many_flops_as_torch_counts(model: RandomFlux) -> None:
    def run(module: Any) -> None:
        config = module.config
        module(
            hidden_states=torch.empty(1, 40, config["in_channels"], device="meta"),
            encoder_hidden_states=torch.empty(1, 7, config["joint_attention_dim"], device="meta"),
            pooled_projections=torch.empty(1, config["pooled_projection_dim"], device="meta"),
            timestep=torch.empty(1, device="meta"),
            guidance=torch.empty(1, device="meta") if config["guidance_embeds"] else None,
            img_ids=torch.zeros(40, 3, device="meta"),
            txt_ids=torch.zeros(7, 3, device="meta"),
        )

    counted = counted_flops(lambda: transformer(model), run)
    assert step_flops(transformer(model).config, 7, [40]).total == counted


# By an independent count of FLUX.1 [dev], in TFLOP and in its attention's share.
@pytest.mark.parametrize(
    ("side_px", "tera_flops", "attention_share"),
    [(256, 10.35, 0.040), (512, 21.50, 0.077), (1024, 74.38, 0.200), (2048, 418.1, 0.478)],
)
def test_flux_needs_what_others_counted(
    side_px: int, tera_flops: float, attention_share: float
) -> None:
    flops = step_flops(FLUX, 512, [(side_px // 16) ** 2])
    assert flops.total / 1e12 == pytest.approx(tera_flops, rel=1e-3)
    assert flops.attention / flops.total == pytest.approx(attention_share, abs=1e-3)


def test_pictures_of_one_batch_do_not_attend_to_each_other() -> None:
    together = step_flops(FLUX, 512, [1024, 4096])
    alone = [step_flops(FLUX, 512, [length]) for length in (1024, 4096)]
    assert together.total == sum(flops.total for flops in alone)


def test_fp8_halves_the_time_of_the_blocks_linears_only() -> None:
    flops = StepFlops(block_linears=6e12, attention=3e12, rest=1e12)
    assert flops.bound_s(tflops=10) == pytest.approx(1.0)
    assert flops.bound_s(tflops=10, is_fp8=True) == pytest.approx(0.7)
