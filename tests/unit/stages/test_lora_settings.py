"""How strong a LoRA is by its settings, and which settings are refused."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from serve_app.stages.lora_file import LinearShape
from tests.unit.stages.lora_files import (
    load_lora,
    random_lora,
    refusal,
    save_lora,
)

LAYER = "transformer_blocks.0.attn.to_q"


@pytest.mark.parametrize(
    ("settings", "scale"),
    [
        ({"transformer.lora_alpha": 8}, 2.0),
        ({"lora_alpha": 8}, 2.0),
        ({"lora_alpha": 8, "use_rslora": True}, 4.0),
        ({"lora_alpha": 8, "alpha_pattern": {"transformer_blocks.0.attn.to_q": 1}}, 0.25),
        ({"lora_alpha": 8, "alpha_pattern": {"to_q": 1}}, 0.25),
        ({"lora_alpha": 8, "alpha_pattern": {"o_q": 1}}, 2.0),
        ({"lora_alpha": 8, "alpha_pattern": {"to_k": 1}}, 2.0),
        ({"r": 4}, 1.0),
    ],
)
def test_settings_in_the_file_or_beside_it(
    shapes: Mapping[str, LinearShape], tmp_path: Path, settings: dict[str, Any], scale: float
) -> None:
    lora = random_lora(shapes, [LAYER], rank=4)
    inside = save_lora(tmp_path / "lora.safetensors", lora, settings=settings)
    beside = save_lora(tmp_path / "adapter_model.safetensors", lora, "base_model.model.")
    own = {key.removeprefix("transformer."): value for key, value in settings.items()}
    (tmp_path / "adapter_config.json").write_text(json.dumps(own))
    for path in (inside, beside):
        assert torch.equal(load_lora(path, shapes)[LAYER].up, lora[LAYER].up * scale)


def test_a_config_beside_a_file_of_another_name_is_not_its_own(
    shapes: Mapping[str, LinearShape], tmp_path: Path
) -> None:
    lora = random_lora(shapes, [LAYER])
    path = save_lora(tmp_path / "lora.safetensors", lora)
    (tmp_path / "adapter_config.json").write_text(json.dumps({"lora_alpha": 999}))
    assert torch.equal(load_lora(path, shapes)[LAYER].up, lora[LAYER].up)


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"use_dora": True}, "use_dora must be off, not True"),
        ({"lora_bias": True}, "lora_bias must be off, not True"),
        ({"bias": "all"}, "bias must be one of 'none', not 'all'"),
        ({"peft_type": "LOHA"}, "peft_type must be one of 'LORA', not 'LOHA'"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights must be one of"),
        ({"lora_alpha": "8"}, "lora_alpha must be a finite number, not '8'"),
        ({"lora_alpha": True}, "lora_alpha must be a finite number, not True"),
        ({"alpha_pattern": [1]}, "alpha_pattern must be an object, not [1]"),
        ({"alpha_pattern": {".*": 1}}, "alpha_pattern must have plain layer names, not '.*'"),
        ({"alpha_pattern": {"to_q": None}}, "to_q must be a finite number, not None"),
    ],
)
def test_settings_that_ask_for_more_than_a_plain_lora(
    shapes: Mapping[str, LinearShape], tmp_path: Path, settings: dict[str, Any], line: str
) -> None:
    lora = random_lora(shapes, [LAYER])
    path = save_lora(tmp_path / "lora.safetensors", lora, settings=settings)
    assert line in refusal(path, shapes)


@pytest.mark.parametrize("text", ["{", "[]"])
def test_settings_that_cannot_be_read(
    shapes: Mapping[str, LinearShape], tmp_path: Path, text: str
) -> None:
    path = save_lora(tmp_path / "adapter_model.safetensors", random_lora(shapes, [LAYER]))
    save_file(load_file(path), path, {"lora_adapter_metadata": text})
    assert "is not" in refusal(path, shapes)


def test_an_alpha_that_is_given_twice(shapes: Mapping[str, LinearShape], tmp_path: Path) -> None:
    lora, path = random_lora(shapes, [LAYER]), tmp_path / "lora.safetensors"
    save_lora(path, lora, alphas={LAYER: 2.0}, settings={"lora_alpha": 2})
    assert "must not say again" in refusal(path, shapes)
