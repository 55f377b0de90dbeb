"""Operations are those torch counts; seconds are those that were measured."""

import random

import pytest
import torch
from diffusers import FluxTransformer2DModel
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from serve_app.diffusion.latents import LatentShape, latent_image_ids, text_ids
from serve_app.engine.cost_model import CostModel, FluxGeometry
from tests.unit.engine.works import work
from tests.unit.stages.random_flux import LIKE_EMBEDDED, LIKE_FLUX, RandomFlux, transformer


def counted(model: FluxTransformer2DModel, rows: int, columns: int, num_text: int) -> int:
    config, tokens = model.config, rows * columns
    dtype, device = torch.float32, model.device
    shape = LatentShape(config["in_channels"] // 4, 2 * rows, 2 * columns)

    def zeros(*size: int) -> torch.Tensor:
        return torch.zeros(*size, device=device)

    counter = FlopCounterMode(display=False)
    # Of the fused kernels torch counts only a GPU's.
    with counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        model(
            hidden_states=zeros(1, tokens, config["in_channels"]),
            timestep=zeros(1),
            guidance=zeros(1) if config["guidance_embeds"] else None,
            pooled_projections=zeros(1, config["pooled_projection_dim"]),
            encoder_hidden_states=zeros(1, num_text, config["joint_attention_dim"]),
            txt_ids=text_ids(num_text, dtype).to(device),
            img_ids=latent_image_ids(shape, dtype).to(device),
        )
    return counter.get_total_flops()


@pytest.mark.parametrize("kind", [LIKE_FLUX, LIKE_EMBEDDED])
@pytest.mark.parametrize(("rows", "columns", "num_text"), [(2, 3, 24), (8, 5, 7), (1, 1, 1)])
def test_operations_are_those_torch_counts(
    kind: RandomFlux, rows: int, columns: int, num_text: int
) -> None:
    model = transformer(kind)
    geometry = FluxGeometry.of(model.config)
    predicted = geometry.step_flops(rows * columns, num_text)
    assert predicted == counted(model, rows, columns, num_text)


@pytest.mark.parametrize(("side", "tera_flops"), [(512, 21.503), (1024, 74.38), (2048, 418.1)])
def test_flux_1_at_full_size(side: int, tera_flops: float) -> None:
    # Counted by torch on the model without weights, which takes too long here.
    flux_1 = FluxGeometry(3072, 19, 38, 64, 4096, 768, guidance_embeds=True)
    flops = flux_1.step_flops((side // 16) ** 2, 512)
    assert flops / 1e12 == pytest.approx(tera_flops, rel=2e-4)


def taught(*steps: tuple[float, float]) -> CostModel:
    model = CostModel(s_per_flop=1.0)
    for flops, seconds in steps:
        model.observe(flops, seconds)
    return model


def test_it_learns_overhead_and_speed() -> None:
    sizes = [1.0, 2.0, 5.0, 10.0] * 5
    model = taught(*((flops, 0.5 + 0.1 * flops) for flops in sizes))
    assert model.overhead_s == pytest.approx(0.5)
    assert model.s_per_flop == pytest.approx(0.1)
    assert model.remaining_s(work("a", num_steps=3, seconds=4.0)) == pytest.approx(3 * 0.9)
    assert model.batch_s([work("a"), work("b")]) == pytest.approx(0.7)


def test_with_one_size_it_predicts_that_size() -> None:
    model = taught(*[(4.0, 2.0)] * 3)
    assert model.batch_s([work("a", seconds=4.0)]) == pytest.approx(2.0)


def test_it_follows_a_machine_that_becomes_slower() -> None:
    model = taught(*[(4.0, 1.0), (8.0, 2.0)] * 30, *[(4.0, 2.0), (8.0, 4.0)] * 200)
    assert model.batch_s([work("a", seconds=4.0)]) == pytest.approx(2.0, rel=0.05)


def test_one_slow_step_changes_little() -> None:
    model = taught(*[(4.0, 1.0), (8.0, 2.0)] * 20, (4.0, 1000.0))
    assert model.batch_s([work("a", seconds=4.0)]) == pytest.approx(1.0, rel=0.15)


def test_its_error_is_what_it_was_wrong_by() -> None:
    exact = taught(*[(4.0, 1.0), (8.0, 2.0)] * 20)
    assert exact.error < 0.01
    rng = random.Random(0)
    noisy = taught(*((4.0, rng.choice([0.5, 1.5])) for _ in range(300)))
    assert 0.3 < noisy.error < 1.2


def test_predictions_are_never_negative() -> None:
    falling = taught(*[(1.0, 3.0), (10.0, 1.0)] * 10)
    assert falling.overhead_s >= 0
    assert falling.s_per_flop > 0
