"""Whatever is no plain LoRA of this transformer alone is refused in one clear line."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from serve_app.stages.lora_file import LinearShape
from tests.unit.stages.lora_files import (
    authors_lora,
    load_lora,
    random_lora,
    refusal,
    save_lora,
)

LAYER = "transformer_blocks.0.attn.to_q"


@pytest.mark.parametrize(
    ("key", "shape", "line"),
    [
        ("transformer_blocks.9.attn.to_q.lora_A.weight", [4, 32], "is not a layer of this"),
        ("down_blocks.0.attn.to_q.lora_A.weight", [4, 32], "is not a layer of this transformer"),
        (f"{LAYER}.lora_A.weight", [4, 31], "(rank, 32), not (4, 31)"),
        (f"{LAYER}.lora_A.weight", [4, 32, 1, 1], "(rank, 32), not (4, 32, 1, 1)"),
        (f"{LAYER}.lora_A.weight", [0, 32], "(rank, 32), not (0, 32)"),
        (f"{LAYER}.lora_A.weight", [5, 32], "(32, 5), not (32, 4)"),
        (f"{LAYER}.lora_B.weight", [31, 4], "(32, 4), not (31, 4)"),
        (f"{LAYER}.lora_down.weight", [4, 32], "has two down parts"),
        (f"{LAYER}.lora_B.bias", [32], "is a bias"),
        (f"{LAYER}.lora_magnitude_vector", [32], "is part of a DoRA"),
        (f"{LAYER}.dora_scale", [32], "is part of a DoRA"),
        (f"{LAYER}.hada_w1_a", [32], "is part of a LoHa"),
        (f"{LAYER}.lokr_w1", [32], "is part of a LoKr"),
        (f"{LAYER}.oft_blocks", [32], "is part of an OFT"),
        (f"{LAYER}.lora_mid.weight", [4, 4], "is part of a LoCon"),
        (f"{LAYER}.diff", [32], "is a difference of weights"),
        (f"{LAYER}.diff_b", [32], "is a difference of weights"),
        (f"{LAYER}.weight", [32, 32], "is not a part of a LoRA"),
        (f"{LAYER}.alpha", [2], "must be one number, not (2,)"),
        ("transformer_blocks.0.attn.to_k.alpha", [], "must have a down and an up factor"),
        ("transformer_blocks.0.attn.norm_q.lora_A.weight", [4, 32], "is not a layer"),
    ],
)
def test_what_is_no_plain_lora_of_this_model(
    shapes: Mapping[str, LinearShape], tmp_path: Path, key: str, shape: list[int], line: str
) -> None:
    path = save_lora(tmp_path / "lora.safetensors", random_lora(shapes, [LAYER], rank=4))
    assert load_lora(path, shapes).keys() == {LAYER}
    save_file(load_file(path) | {f"transformer.{key}": torch.ones(shape)}, path)
    message = refusal(path, shapes)
    assert line in message
    assert ".".join(key.split(".")[:4]) in message


@pytest.mark.parametrize(
    "key",
    [
        "text_encoder.text_model.encoder.layers.0.mlp.fc1.lora_A.weight",
        "text_encoders.clip_l.transformer.text_model.encoder.layers.0.mlp.fc1.lora_down.weight",
        "lora_te1_text_model_encoder_layers_0_mlp_fc1.lora_down.weight",
    ],
)
def test_a_text_encoders_lora(shapes: Mapping[str, LinearShape], tmp_path: Path, key: str) -> None:
    path = save_lora(tmp_path / "lora.safetensors", random_lora(shapes, [LAYER]))
    save_file(load_file(path) | {key: torch.ones(4, 32)}, path)
    assert f"{key} is a text encoder's" in refusal(path, shapes)


def test_a_layer_that_is_changed_by_two_names(
    shapes: Mapping[str, LinearShape], tmp_path: Path
) -> None:
    lora = random_lora(shapes, [LAYER]) | authors_lora(shapes, ["double_blocks.0.img_attn.qkv"])
    path = save_lora(tmp_path / "lora.safetensors", lora, "")
    assert f"{LAYER} must have one LoRA" in refusal(path, shapes)


def test_an_empty_file(shapes: Mapping[str, LinearShape], tmp_path: Path) -> None:
    path = save_lora(tmp_path / "lora.safetensors", {})
    assert "holds no tensor" in refusal(path, shapes)
