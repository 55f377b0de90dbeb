"""Random LoRAs, and files of them as different trainers write them."""

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from serve_app.errors import WeightsError
from serve_app.stages.lora_file import Factors, LinearShape, open_lora

CPU = torch.device("cpu")

# How files end the keys of a down and an up factor.
PEFT_ENDS = (".lora_A.weight", ".lora_B.weight")
KOHYA_ENDS = (".lora_down.weight", ".lora_up.weight")

# What FLUX.1's authors call the layers of the first blocks, and what diffusers calls them.
AUTHORS_NAMES = {
    "double_blocks.0.img_mod.lin": ["transformer_blocks.0.norm1.linear"],
    "double_blocks.0.img_attn.qkv": [f"transformer_blocks.0.attn.to_{part}" for part in "qkv"],
    "double_blocks.0.img_attn.proj": ["transformer_blocks.0.attn.to_out.0"],
    "double_blocks.0.img_mlp.0": ["transformer_blocks.0.ff.net.0.proj"],
    "double_blocks.0.img_mlp.2": ["transformer_blocks.0.ff.net.2"],
    "double_blocks.0.txt_mod.lin": ["transformer_blocks.0.norm1_context.linear"],
    "double_blocks.0.txt_attn.qkv": [
        f"transformer_blocks.0.attn.add_{part}_proj" for part in "qkv"
    ],
    "double_blocks.0.txt_attn.proj": ["transformer_blocks.0.attn.to_add_out"],
    "double_blocks.0.txt_mlp.0": ["transformer_blocks.0.ff_context.net.0.proj"],
    "double_blocks.0.txt_mlp.2": ["transformer_blocks.0.ff_context.net.2"],
    "single_blocks.0.modulation.lin": ["single_transformer_blocks.0.norm.linear"],
    "single_blocks.0.linear1": [
        *(f"single_transformer_blocks.0.attn.to_{part}" for part in "qkv"),
        "single_transformer_blocks.0.proj_mlp",
    ],
    "single_blocks.0.linear2": ["single_transformer_blocks.0.proj_out"],
    "img_in": ["x_embedder"],
    "txt_in": ["context_embedder"],
    "time_in.in_layer": ["time_text_embed.timestep_embedder.linear_1"],
    "time_in.out_layer": ["time_text_embed.timestep_embedder.linear_2"],
    "vector_in.in_layer": ["time_text_embed.text_embedder.linear_1"],
    "vector_in.out_layer": ["time_text_embed.text_embedder.linear_2"],
    "guidance_in.in_layer": ["time_text_embed.guidance_embedder.linear_1"],
    "guidance_in.out_layer": ["time_text_embed.guidance_embedder.linear_2"],
    "final_layer.linear": ["proj_out"],
    "final_layer.adaLN_modulation.1": ["norm_out.linear"],
}


def random_lora(
    shapes: Mapping[str, LinearShape],
    layers: Iterable[str] | None = None,
    rank: int = 4,
    seed: int = 0,
) -> dict[str, Factors]:
    """Return a LoRA of some layers, by default of all, strong enough to be seen."""
    generator = torch.Generator().manual_seed(seed)

    def noise(*size: int) -> torch.Tensor:
        return torch.randn(*size, generator=generator) / (2 * math.sqrt(size[1]))

    return {
        layer: Factors(
            noise(rank, shapes[layer].in_features), noise(shapes[layer].out_features, rank)
        )
        for layer in (shapes if layers is None else layers)
    }


def authors_lora(
    shapes: Mapping[str, LinearShape], names: Iterable[str] = AUTHORS_NAMES, rank: int = 4
) -> dict[str, Factors]:
    """Return a LoRA of layers as FLUX.1's authors made and named them."""
    fused = {
        name: LinearShape(
            shapes[AUTHORS_NAMES[name][0]].in_features,
            sum(shapes[layer].out_features for layer in AUTHORS_NAMES[name]),
        )
        for name in names
    }
    return random_lora(fused, rank=rank)


def save_lora(
    path: Path,
    lora: Mapping[str, Factors],
    prefix: str = "transformer.",
    ends: tuple[str, str] = PEFT_ENDS,
    alphas: Mapping[str, float] | None = None,
    settings: Mapping[str, object] | None = None,
) -> Path:
    """Write a LoRA file; a prefix that ends with `_` makes the whole name one with underscores."""

    def named(layer: str) -> str:
        return prefix + (layer.replace(".", "_") if prefix.endswith("_") else layer)

    tensors = {}
    for layer, factors in lora.items():
        tensors[named(layer) + ends[0]] = factors.down
        tensors[named(layer) + ends[1]] = factors.up
    for layer, alpha in (alphas or {}).items():
        tensors[f"{named(layer)}.alpha"] = torch.tensor(alpha)
    metadata = {"lora_adapter_metadata": json.dumps(settings)} if settings is not None else None
    save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, path, metadata)
    return path


def load_lora(
    path: Path, shapes: Mapping[str, LinearShape], dtype: torch.dtype = torch.float32
) -> dict[str, Factors]:
    """Return a file's factors, on the CPU."""
    with open_lora(path, shapes) as lora:
        return lora.read(dtype, CPU)


def refusal(path: Path, shapes: Mapping[str, LinearShape]) -> str:
    """Return the line that a file is refused with."""
    with pytest.raises(WeightsError) as refused:
        load_lora(path, shapes)
    message = refused.value.message
    assert "\n" not in message
    assert str(path) in message
    return message
