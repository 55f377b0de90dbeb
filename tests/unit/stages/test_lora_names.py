"""A layer is found by whatever name its trainer gave it."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from diffusers import FluxPipeline
from safetensors.torch import load_file

from serve_app.stages.lora_file import Factors, LinearShape
from tests.unit.stages.lora_files import (
    AUTHORS_NAMES,
    KOHYA_ENDS,
    PEFT_ENDS,
    authors_lora,
    load_lora,
    random_lora,
    save_lora,
)

XLABS_NAMES = {
    "double_blocks.0.processor.qkv_lora1": "double_blocks.0.img_attn.qkv",
    "double_blocks.0.processor.proj_lora1": "double_blocks.0.img_attn.proj",
    "double_blocks.0.processor.qkv_lora2": "double_blocks.0.txt_attn.qkv",
    "double_blocks.0.processor.proj_lora2": "double_blocks.0.txt_attn.proj",
    "single_blocks.0.processor.proj_lora": "single_blocks.0.linear2",
}


def probe(down: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
    """Return what factors make of three random inputs, in which any two products of them differ."""
    generator = torch.Generator().manual_seed(0)
    return up @ (down @ torch.randn(down.shape[1], 3, generator=generator))


def effects(lora: Mapping[str, Factors]) -> dict[str, torch.Tensor]:
    """Return what a LoRA adds to each layer's output."""
    return {layer: probe(factors.down, factors.up) for layer, factors in lora.items()}


def effects_by_diffusers(path: Path) -> dict[str, torch.Tensor]:
    """Return the same of what diffusers reads of a file."""
    state_dict = FluxPipeline.lora_state_dict(load_file(path))
    named = {key.removeprefix("transformer."): tensor for key, tensor in state_dict.items()}
    down_end, up_end = PEFT_ENDS
    return {
        key.removesuffix(down_end): probe(down, named[key.removesuffix(down_end) + up_end])
        for key, down in named.items()
        if key.endswith(down_end)
    }


def assert_same(some: Mapping[str, torch.Tensor], others: Mapping[str, torch.Tensor]) -> None:
    assert some.keys() == others.keys()
    for layer, effect in some.items():
        torch.testing.assert_close(effect, others[layer], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("prefix", "ends"),
    [
        ("transformer.", PEFT_ENDS),
        ("", PEFT_ENDS),
        ("base_model.model.", PEFT_ENDS),
        ("base_model.model.", (".lora_A.default.weight", ".lora_B.default.weight")),
        ("transformer.", KOHYA_ENDS),
        ("transformer.", (".lora.down.weight", ".lora.up.weight")),
        ("lora_transformer_", KOHYA_ENDS),
    ],
)
def test_every_layer_by_its_name_in_diffusers(
    shapes: Mapping[str, LinearShape], tmp_path: Path, prefix: str, ends: tuple[str, str]
) -> None:
    lora = random_lora(shapes)
    loaded = load_lora(save_lora(tmp_path / "lora.safetensors", lora, prefix, ends), shapes)
    assert loaded.keys() == shapes.keys()
    for layer, factors in lora.items():
        assert torch.equal(loaded[layer].down, factors.down)
        assert torch.equal(loaded[layer].up, factors.up)


@pytest.mark.parametrize(
    ("prefix", "ends"),
    [
        ("lora_unet_", KOHYA_ENDS),
        ("diffusion_model.", KOHYA_ENDS),
        ("diffusion_model.", PEFT_ENDS),
        ("base_model.model.", PEFT_ENDS),
        ("", PEFT_ENDS),
    ],
)
def test_every_layer_by_its_authors_name_as_diffusers_reads_it(
    flux_shapes: Mapping[str, LinearShape], tmp_path: Path, prefix: str, ends: tuple[str, str]
) -> None:
    lora = authors_lora(flux_shapes, rank=2)
    # diffusers leaves out the alphas of these two.
    alphas = {name: 0.5 for name in AUTHORS_NAMES if not name.startswith("final_layer")}
    kohya = save_lora(tmp_path / "kohya.safetensors", lora, "lora_unet_", KOHYA_ENDS, alphas)
    other = save_lora(tmp_path / "other.safetensors", lora, prefix, ends, alphas)
    loaded = effects(load_lora(other, flux_shapes))
    assert loaded.keys() == flux_shapes.keys()
    assert_same(loaded, effects_by_diffusers(kohya))


def test_the_modulation_of_the_last_layer_has_its_halves_swapped(
    flux_shapes: Mapping[str, LinearShape], tmp_path: Path
) -> None:
    lora = authors_lora(flux_shapes, ["final_layer.adaLN_modulation.1"])
    (factors,) = lora.values()
    loaded = load_lora(save_lora(tmp_path / "lora.safetensors", lora, ""), flux_shapes)
    shift, scale = factors.up.chunk(2)
    assert torch.equal(loaded["norm_out.linear"].up, torch.cat([scale, shift]))


def test_xlabs_files_as_diffusers_reads_them(
    flux_shapes: Mapping[str, LinearShape], tmp_path: Path
) -> None:
    of_authors = authors_lora(flux_shapes, XLABS_NAMES.values(), rank=2)
    lora = {name: of_authors[theirs] for name, theirs in XLABS_NAMES.items()}
    # Of the block's first layer it changes three parts of four.
    qkv = {"qkv": LinearShape(3072, 3 * 3072)}
    lora["single_blocks.0.processor.qkv_lora"] = random_lora(qkv, rank=2)["qkv"]
    path = save_lora(tmp_path / "xlabs.safetensors", lora, "", (".down.weight", ".up.weight"))
    loaded = effects(load_lora(path, flux_shapes))
    assert "single_transformer_blocks.0.attn.to_v" in loaded
    assert_same(loaded, effects_by_diffusers(path))
