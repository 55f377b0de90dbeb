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


def test_it_follows_that_at_once_and_keeps_what_it_knows_of_other_sizes() -> None:
    """Where the machine is shared, all steps of a while may be slow, and of one size."""
    model = taught(*[(4.0, 2.4), (8.0, 2.8), (40.0, 6.0)] * 200, *[(4.0, 4.8)] * 50)
    assert model.batch_s([work("a", seconds=4.0)]) == pytest.approx(4.2, rel=0.1)
    assert model.batch_s([work("a", seconds=40.0)]) == pytest.approx(10.5, rel=0.15)


def test_one_slow_step_changes_little() -> None:
    model = taught(*[(4.0, 1.0), (8.0, 2.0)] * 20, (4.0, 1000.0))
    assert model.batch_s([work("a", seconds=4.0)]) == pytest.approx(1.0, rel=0.15)


def test_many_steps_together_are_predicted_however_unequal_they_are() -> None:
    rng = random.Random(0)
    model, predicted_s, measured_s = taught((4.0, 1.0), (8.0, 2.0)), 0.0, 0.0
    for _ in range(3000):
        flops = rng.choice([4.0, 8.0, 12.0])
        # Three times as long where the machine had something else to do, as every third time.
        seconds = 0.25 * flops * rng.choice([1.0, 1.0, 3.0])
        predicted_s += model.batch_s([work("a", seconds=flops)])
        measured_s += seconds
        model.observe(flops, seconds)
    assert predicted_s == pytest.approx(measured_s, rel=0.05)


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


def test_equally_long_steps_are_overhead() -> None:
    """By noise, a line through them falls a little; it is not taken for one without a start."""
    flat = taught(*[(1.0, 1.01), (4.0, 1.0), (16.0, 0.99)] * 10)
    for flops in (1.0, 4.0, 16.0):
        assert flat.batch_s([work("a", seconds=flops)]) == pytest.approx(1.0, rel=0.12)


def test_its_error_is_of_the_seconds_as_they_were() -> None:
    model = taught(*[(4.0, 1.0), (8.0, 2.0)] * 20)
    for _ in range(20):
        # A hundred times as long, of which it believes three: .67 of those three, in truth .99.
        model.observe(4.0, 100 * model.batch_s([work("a", seconds=4.0)]))
    assert model.error > 0.67 * (1 - 0.95**20)


def test_it_learns_what_an_acceleration_skips() -> None:
    model = CostModel(1.0)
    assert model.expected_flops(8.0, "high") == 8.0, "before a job is done, all of it"
    for share in (0.2, 0.3) * 50:
        model.finished("high", share)
        model.finished("none", 1.0)
    assert model.expected_flops(8.0, "high") == pytest.approx(8 * 0.25, rel=0.05)
    assert model.expected_flops(8.0, "regular") == model.expected_flops(8.0, "none") == 8.0


EXACT, FAST = 1, 2


def test_each_transformer_has_a_line_of_its_own() -> None:
    model = CostModel(1.0)
    for _ in range(50):
        for flops in (1.0, 2.0, 5.0, 10.0):
            model.observe(flops, 0.5 + 0.1 * flops, EXACT)
            model.observe(flops, 0.7 + 0.05 * flops, FAST)
    assert model.overhead_s == pytest.approx(0.5)
    assert model.s_per_flop == pytest.approx(0.1)
    for flops in (2.0, 10.0):
        fast, exact = (
            work("a", num_steps=1, seconds=model.expected_flops(flops, "none", transformer))
            for transformer in (FAST, EXACT)
        )
        assert model.solo_s(fast) == pytest.approx(0.7 + 0.05 * flops)
        assert model.solo_s(exact) == pytest.approx(0.5 + 0.1 * flops)


def test_a_transformer_nobody_measured_is_expected_to_be_as_the_first() -> None:
    model = CostModel(1.0)
    model.observe(4.0, 2.0, EXACT)
    assert model.expected_flops(4.0, "none", FAST) == 4.0


def test_what_another_transformer_does_in_no_time_has_operations_left() -> None:
    model = CostModel(1.0)
    for flops in (1.0, 2.0, 5.0, 10.0) * 10:
        model.observe(flops, 0.5 + 0.1 * flops, EXACT)
        model.observe(flops, 0.001 * flops, FAST)
    assert model.expected_flops(4.0, "none", FAST) > 0


def test_a_picture_s_error_is_of_all_its_seconds() -> None:
    model = CostModel(1.0)
    assert model.picture_error == 0
    model.judge(predicted_s=4.0, own_s=1.0)
    assert model.picture_error == pytest.approx(3.0)
    for _ in range(200):
        model.judge(predicted_s=1.0, own_s=1.0)
    assert model.picture_error < 0.01


def test_what_a_step_would_have_taken_alone_has_all_the_overhead() -> None:
    model = CostModel(1.0)
    for flops in (1.0, 2.0, 5.0, 10.0) * 5:
        model.observe(flops, 0.5 + 0.1 * flops, EXACT)
    # 1.3 foreseen, twice as much taken; alone .8, so twice as much.
    assert model.alone_s(3.0, 8.0, 2.6, EXACT) == pytest.approx(1.6)
    assert model.alone_s(8.0, 8.0, 2.6, EXACT) == pytest.approx(2.6)
