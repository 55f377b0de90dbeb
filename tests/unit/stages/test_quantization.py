"""A transformer in 8 bits is smaller, nearly the same, and refused where it cannot run."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import FluxTransformer2DModel

from serve_app.errors import ConfigError, WeightsError
from serve_app.stages.quantization import (
    check_scheme,
    is_quantizable,
    load_quantized,
    quantize,
    weights_bytes,
)
from serve_app.stages.transformer import TransformerStage
from tests.unit.engine.pictures import MIXED, alone, packed

CPU, GPU = torch.device("cpu"), torch.device("cuda:0")

# Relative errors of the random model: int8 measured 3.5e-4 to 7.2e-4 in float32 and 2.9e-3 to
# 3.7e-3 in bfloat16; fp8, through the CPU's own `torch._scaled_mm`, 5.3e-3 to 8.0e-3.
ERRORS = {torch.float32: (1e-4, 2e-3), torch.bfloat16: (1e-3, 1e-2)}
FP8_ERRORS = (2e-3, 3e-2)


@pytest.fixture(params=[torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def stage(request: pytest.FixtureRequest, flux_directory: Path) -> TransformerStage:
    return TransformerStage.load(flux_directory, request.param, CPU)


@pytest.fixture
def int8_stage(stage: TransformerStage, flux_directory: Path) -> TransformerStage:
    return replace(stage, transformer=load_quantized(flux_directory, "int8", stage.dtype, CPU))


def block_linears(transformer: FluxTransformer2DModel) -> list[torch.nn.Linear]:
    return [module for name, module in transformer.named_modules() if is_quantizable(module, name)]


def relative_error(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found.float() - expected.float()).norm() / expected.float().norm())


def test_the_stock_forward_is_nearly_the_same(
    stage: TransformerStage, int8_stage: TransformerStage
) -> None:
    low, high = ERRORS[stage.dtype]
    for picture in MIXED:
        assert low < relative_error(alone(int8_stage, picture), alone(stage, picture)) < high


def test_the_packed_forward_is_that_of_the_same_8_bits(int8_stage: TransformerStage) -> None:
    atol = 1e-6 if int8_stage.dtype == torch.float32 else 0
    for picture, noise_pred in zip(MIXED, packed(int8_stage, MIXED), strict=True):
        torch.testing.assert_close(noise_pred, alone(int8_stage, picture), atol=atol, rtol=0)


def test_a_weight_with_a_wrong_scale_is_beyond_the_error(
    stage: TransformerStage, int8_stage: TransformerStage
) -> None:
    int8_stage.transformer.single_transformer_blocks[0].proj_out.weight.scale.mul_(1.5)
    _, high = ERRORS[stage.dtype]
    errors = [relative_error(alone(int8_stage, one), alone(stage, one)) for one in MIXED]
    assert min(errors) > high


def test_a_weight_takes_one_byte_and_a_row_five(
    stage: TransformerStage, int8_stage: TransformerStage
) -> None:
    exact, quantized = block_linears(stage.transformer), block_linears(int8_stage.transformer)
    for before, after in zip(exact, quantized, strict=True):
        num_outputs, num_inputs = before.weight.shape
        bias_bytes = before.bias.nbytes
        assert weights_bytes(before) == before.weight.numel() * stage.dtype.itemsize + bias_bytes
        # A float32 scale and an int8 zero point for each row.
        assert weights_bytes(after) == num_outputs * num_inputs + 5 * num_outputs + bias_bytes


def test_everything_else_is_untouched(
    stage: TransformerStage, int8_stage: TransformerStage
) -> None:
    exact = dict(stage.transformer.named_parameters())
    quantized = dict(int8_stage.transformer.named_parameters())
    assert exact.keys() == quantized.keys()
    changed = {name for name in exact if type(exact[name]) is not type(quantized[name])}
    assert all(torch.equal(exact[name], quantized[name]) for name in exact.keys() - changed)
    assert changed == {
        f"{name}.weight"
        for name, module in stage.transformer.named_modules()
        if is_quantizable(module, name)
    }


def test_the_stage_still_says_its_dtype_and_device(
    stage: TransformerStage, int8_stage: TransformerStage
) -> None:
    assert (int8_stage.dtype, int8_stage.device) == (stage.dtype, CPU)


def test_a_loaded_transformer_can_be_quantized_in_place(
    stage: TransformerStage, int8_stage: TransformerStage
) -> None:
    quantize(stage.transformer, "int8")
    assert torch.equal(alone(stage, MIXED[0]), alone(int8_stage, MIXED[0]))


def test_of_the_real_model_the_blocks_and_not_their_modulation() -> None:
    with torch.device("meta"):
        transformer = FluxTransformer2DModel(guidance_embeds=True)
    dim = 3072
    per_block = 12 * dim * dim  # attention and its MLP, of one stream of tokens
    quantizable = block_linears(transformer)
    assert sum(one.weight.numel() for one in quantizable) == (2 * 19 + 38) * per_block
    rest = sum(one.numel() for one in transformer.parameters()) - (2 * 19 + 38) * per_block
    assert rest == pytest.approx(3.3e9, rel=0.01)


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=str(tmp_path)):
        load_quantized(tmp_path, "int8", torch.bfloat16, CPU)


def test_the_device_is_asked_before_the_weights(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"got cpu$"):
        load_quantized(tmp_path, "fp8", torch.bfloat16, CPU)


def test_fp8_is_refused_on_a_cpu(stage: TransformerStage) -> None:
    message = "^fp8 needs a GPU of compute capability 8.9 or higher, got cpu$"
    with pytest.raises(ConfigError, match=message):
        quantize(stage.transformer, "fp8")


@pytest.mark.parametrize(
    ("capability", "dtype", "message"),
    [
        ((8, 6), torch.bfloat16, "compute capability 8.9 or higher, got 8.6$"),
        ((7, 5), torch.bfloat16, "compute capability 8.9 or higher, got 7.5$"),
        ((9, 0), torch.float32, "dtype bfloat16, got float32$"),
    ],
)
def test_fp8_is_refused_to_a_gpu_or_a_dtype_without_it(
    monkeypatch: pytest.MonkeyPatch,
    capability: tuple[int, int],
    dtype: torch.dtype,
    message: str,
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    with pytest.raises(ConfigError, match=message):
        check_scheme("fp8", dtype, GPU)


@pytest.mark.parametrize("capability", [(8, 9), (9, 0), (10, 0), (12, 0)])
def test_fp8_is_for_ada_and_later(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int]
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    check_scheme("fp8", torch.bfloat16, GPU)


def test_int8_is_for_every_device_and_dtype() -> None:
    for device in (CPU, GPU):
        for dtype in (torch.float32, torch.bfloat16):
            check_scheme("int8", dtype, device)


@pytest.mark.gpu
@pytest.mark.skipif(
    not torch.cuda.is_available() or torch.cuda.get_device_capability() < (8, 9),
    reason="needs a GPU of compute capability 8.9",
)
def test_fp8_is_nearly_the_same(flux_directory: Path) -> None:
    stage = TransformerStage.load(flux_directory, torch.bfloat16, GPU)
    fp8 = replace(stage, transformer=load_quantized(flux_directory, "fp8", torch.bfloat16, GPU))
    low, high = FP8_ERRORS
    for picture in MIXED:
        assert low < relative_error(alone(fp8, picture), alone(stage, picture)) < high
