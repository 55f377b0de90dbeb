"""What a LoRA's file says of its training: how strong it is, and whether it is a plain LoRA.

diffusers writes PEFT's settings into the file's metadata, PEFT itself into a file beside it. Where
neither did, a layer's alpha is a tensor, or is its rank: then its scale is 1.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from serve_app.errors import WeightsError
from serve_app.model_facts import read_json

METADATA_KEY = "lora_adapter_metadata"  # diffusers'
METADATA_PREFIX = "transformer."
PEFT_WEIGHTS_NAME = "adapter_model.safetensors"
PEFT_CONFIG_NAME = "adapter_config.json"

# What makes of an adapter more, or other, than two factors beside each unchanged weight.
MUST_BE_OFF = ("use_dora", "use_qalora", "lora_bias", "layer_replication")
SUPPORTED = {
    "peft_type": ("LORA",),
    "bias": ("none",),
    # The others take something away from the base model's weights.
    "init_lora_weights": (True, False, "gaussian", "orthogonal", "eva"),
}
PLAIN_NAME = re.compile(r"[\w.]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class LoraSettings:
    """How strong a LoRA is, as far as its settings say.

    Attributes:
        alpha: Of each layer; None: its rank.
        alpha_pattern: Of the layers whose names end with a key.
        is_rank_stabilized: Whether alpha is divided by the rank's root instead of the rank.
    """

    alpha: float | None = None
    alpha_pattern: Mapping[str, float] = field(default_factory=dict)
    is_rank_stabilized: bool = False

    def scale(self, name: str, rank: int) -> float:
        """Return what a layer's product of factors is multiplied by.

        Args:
            name: The layer's in the file, without prefix.
            rank: Of its factors.
        """
        alpha = self.alpha
        for end, pattern_alpha in self.alpha_pattern.items():
            if f".{name}".endswith(f".{end}"):
                alpha = pattern_alpha
                break
        if alpha is None:
            return 1.0
        return alpha / (math.sqrt(rank) if self.is_rank_stabilized else rank)


def read_settings(file: Path, metadata: Mapping[str, str]) -> LoraSettings:
    """Return the settings in a file's metadata or beside it.

    Args:
        file: The `.safetensors` file.
        metadata: Of its header.

    Raises:
        WeightsError: They are broken or ask for more than a plain LoRA; the message is one line.
    """
    config = _config(file, metadata)
    for key in MUST_BE_OFF:
        if config.get(key):
            raise WeightsError(f"{key} must be off, not {config[key]!r}")
    for key, values in SUPPORTED.items():
        if config.get(key, values[0]) not in values:
            allowed = ", ".join(map(repr, values))
            raise WeightsError(f"{key} must be one of {allowed}, not {config[key]!r}")
    pattern = config.get("alpha_pattern") or {}
    if not isinstance(pattern, dict):
        raise WeightsError(f"alpha_pattern must be an object, not {pattern!r}")
    alpha = config.get("lora_alpha")
    return LoraSettings(
        alpha=None if alpha is None else _number("lora_alpha", alpha),
        alpha_pattern={_plain(name): _number(name, value) for name, value in pattern.items()},
        is_rank_stabilized=bool(config.get("use_rslora")),
    )


def _config(file: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    if METADATA_KEY in metadata:
        try:
            config = json.loads(metadata[METADATA_KEY])
        except ValueError as error:
            raise WeightsError(f"its {METADATA_KEY} is not JSON: {error}") from error
        if not isinstance(config, dict):
            raise WeightsError(f"its {METADATA_KEY} is not a JSON object")
        return {key.removeprefix(METADATA_PREFIX): value for key, value in config.items()}
    beside = file.with_name(PEFT_CONFIG_NAME)
    if file.name == PEFT_WEIGHTS_NAME and beside.exists():
        return read_json(beside)
    return {}


def _plain(name: str) -> str:
    # PEFT reads it as a regular expression; one that is more than a name is nobody's in practice.
    if not PLAIN_NAME.fullmatch(name):
        raise WeightsError(f"alpha_pattern must have plain layer names, not {name!r}")
    return name


def _number(key: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise WeightsError(f"{key} must be a finite number, not {value!r}")
    return float(value)
