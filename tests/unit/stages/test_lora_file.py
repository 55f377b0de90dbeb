"""A LoRA file gives factors in the asked precision, or none and one clear line."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from serve_app.stages.lora_file import Factors, LinearShape, open_lora
from tests.unit.stages.lora_files import (
    CPU,
    authors_lora,
    load_lora,
    random_lora,
    refusal,
    save_lora,
)

LAYER = "transformer_blocks.0.attn.to_q"


def test_parts_of_a_fused_layer_share_their_down_factor(
    flux_shapes: Mapping[str, LinearShape], tmp_path: Path
) -> None:
    lora = authors_lora(flux_shapes, ["single_blocks.0.linear1"])
    path = save_lora(tmp_path / "lora.safetensors", lora, "")
    with open_lora(path, flux_shapes) as opened:
        factors = opened.read(torch.bfloat16, CPU).values()
        num_bytes = opened.num_bytes(torch.bfloat16)
    tensors = [tensor for one in factors for tensor in (one.down, one.up)]
    storages = {tensor.untyped_storage().data_ptr(): tensor for tensor in tensors}
    assert num_bytes == sum(one.untyped_storage().nbytes() for one in storages.values())
    assert num_bytes == 2 * 4 * (3072 + 3 * 3072 + 12288)


@pytest.mark.parametrize("alpha", [2.0, 8, 0.0])
def test_alpha_of_a_layer(shapes: Mapping[str, LinearShape], tmp_path: Path, alpha: float) -> None:
    lora = random_lora(shapes, [LAYER], rank=4)
    path = save_lora(tmp_path / "lora.safetensors", lora, alphas={LAYER: alpha})
    loaded = load_lora(path, shapes)
    assert torch.equal(loaded[LAYER].up, lora[LAYER].up * (alpha / 4))


def test_factors_stay_when_the_file_is_overwritten(
    shapes: Mapping[str, LinearShape], tmp_path: Path
) -> None:
    lora = random_lora(shapes, [LAYER])
    path = save_lora(tmp_path / "lora.safetensors", lora)
    loaded = load_lora(path, shapes)
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))
    assert torch.equal(loaded[LAYER].down, lora[LAYER].down)
    assert torch.equal(loaded[LAYER].up, lora[LAYER].up)


@pytest.mark.parametrize("stored", [torch.float64, torch.float16, torch.bfloat16])
def test_a_file_of_any_precision_gives_the_asked_one(
    shapes: Mapping[str, LinearShape], tmp_path: Path, stored: torch.dtype
) -> None:
    lora = random_lora(shapes, [LAYER])
    halves = {LAYER: Factors(lora[LAYER].down.to(stored), lora[LAYER].up.to(stored))}
    loaded = load_lora(save_lora(tmp_path / "lora.safetensors", halves), shapes, torch.bfloat16)
    assert torch.equal(loaded[LAYER].down, halves[LAYER].down.to(torch.bfloat16))
    assert torch.equal(loaded[LAYER].up, halves[LAYER].up.to(torch.bfloat16))


def test_a_file_that_is_missing(shapes: Mapping[str, LinearShape], tmp_path: Path) -> None:
    refusal(tmp_path / "none.safetensors", shapes)


def test_a_truncated_file(shapes: Mapping[str, LinearShape], tmp_path: Path) -> None:
    path = save_lora(tmp_path / "lora.safetensors", random_lora(shapes))
    path.write_bytes(path.read_bytes()[:-8])
    refusal(path, shapes)


class Exploding:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["lora.safetensors", "lora.pt", "pytorch_lora_weights.bin"])
def test_a_pickle_is_never_opened(
    shapes: Mapping[str, LinearShape], tmp_path: Path, name: str
) -> None:
    exploded = tmp_path / "exploded"
    torch.save({"weights": Exploding(exploded)}, tmp_path / name)
    refusal(tmp_path / name, shapes)
    assert not exploded.exists()
    with (tmp_path / name).open("rb") as file:
        torch.load(file, weights_only=False)
    assert exploded.exists()


@pytest.mark.parametrize("dtype", [torch.int8, torch.float8_e4m3fn])
def test_factors_of_another_kind_of_number(
    shapes: Mapping[str, LinearShape], tmp_path: Path, dtype: torch.dtype
) -> None:
    factors = random_lora(shapes, [LAYER])[LAYER]
    path = tmp_path / "lora.safetensors"
    save_lora(path, {LAYER: Factors(factors.down.to(dtype), factors.up)})
    assert "must be F64 or F32 or F16 or BF16, not" in refusal(path, shapes)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e39])
def test_factors_that_are_not_finite(
    shapes: Mapping[str, LinearShape], tmp_path: Path, value: float
) -> None:
    factors = random_lora(shapes, [LAYER])[LAYER]
    up = factors.up.double()
    up[3, 2] = value
    path = save_lora(tmp_path / "lora.safetensors", {LAYER: Factors(factors.down, up)})
    assert f"{LAYER}.lora_B.weight must be finite" in refusal(path, shapes)
