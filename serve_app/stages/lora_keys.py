"""The keys of a LoRA file: which layer each is of, and which part of it.

A key that is not understood is an error: a part left out would make another picture than the
file's author meant, without a word.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from serve_app.errors import WeightsError
from serve_app.stages.lora_names import TEXT_ENCODER_PREFIXES, Target, without_prefix

Part = Literal["down", "up", "alpha"]

# As diffusers, PEFT, kohya, older diffusers and XLabs end their keys; the longer stands first.
ENDS: dict[str, Part] = {
    ".lora_A.default.weight": "down",
    ".lora_B.default.weight": "up",
    ".lora_A.weight": "down",
    ".lora_B.weight": "up",
    ".lora_down.weight": "down",
    ".lora_up.weight": "up",
    ".lora.down.weight": "down",
    ".lora.up.weight": "up",
    ".down.weight": "down",
    ".up.weight": "up",
    ".alpha": "alpha",
}
OTHER_KINDS = {
    r"dora_scale|lora_magnitude_vector": "part of a DoRA",
    r"\.hada_": "part of a LoHa (LyCORIS)",
    r"\.lokr_": "part of a LoKr (LyCORIS)",
    r"\.b?oft_": "part of an OFT (LyCORIS)",
    r"\.lora_mid\.": "part of a LoCon (LyCORIS)",
    r"\.diff(_b)?$": "a difference of weights",
    r"\.bias$": "a bias",
}


@dataclass(frozen=True, slots=True)
class LayerKeys:
    """The keys of one layer of a file.

    Attributes:
        name: Of the layer, without prefix.
        down: Key of its down factor.
        up: Key of its up factor.
        alpha: Key of its alpha, where the file has one.
        target: The model's layers that it stands for.
    """

    name: str
    down: str
    up: str
    alpha: str | None
    target: Target


def read_keys(keys: Collection[str], known: Mapping[str, Target]) -> list[LayerKeys]:
    """Return the layers that a file's keys are of.

    Args:
        keys: All of the file.
        known: What a name stands for (`known_names`).

    Raises:
        WeightsError: The file is not a plain LoRA of this transformer alone.
    """
    by_layer: dict[str, dict[Part, str]] = {}
    for key in sorted(keys):
        name, part = _name_and_part(key)
        of_layer = by_layer.setdefault(name, {})
        if part in of_layer:
            raise WeightsError(f"{name} has two {part} parts, {of_layer[part]} and {key}")
        of_layer[part] = key
    if not by_layer:
        raise WeightsError("it must hold a LoRA, and holds no tensor")
    layers = [_layer_keys(name, parts, known) for name, parts in by_layer.items()]
    _check_once(layers)
    return layers


def _name_and_part(key: str) -> tuple[str, Part]:
    if key.startswith(TEXT_ENCODER_PREFIXES):
        raise WeightsError(f"{key} is a text encoder's; only the transformer can have a LoRA")
    for pattern, kind in OTHER_KINDS.items():
        if re.search(pattern, key):
            raise WeightsError(f"{key} is {kind}; a LoRA must be down, up and alpha only")
    for end, part in ENDS.items():
        if key.endswith(end):
            return key.removesuffix(end), part
    raise WeightsError(f"{key} is not a part of a LoRA; that must be down, up and alpha only")


def _layer_keys(name: str, parts: Mapping[Part, str], known: Mapping[str, Target]) -> LayerKeys:
    bare = without_prefix(name)
    target = known.get(bare.replace(".", "_"))
    if target is None:
        raise WeightsError(f"{name} is not a layer of this transformer")
    for part in ("down", "up"):
        if part not in parts:
            raise WeightsError(f"{name} must have a down and an up factor, and has no {part}")
    return LayerKeys(bare, parts["down"], parts["up"], parts.get("alpha"), target)


def _check_once(layers: Collection[LayerKeys]) -> None:
    changed_by: dict[str, str] = {}
    for keys in layers:
        for layer in keys.target.layers:
            if layer in changed_by:
                raise WeightsError(
                    f"{layer} must have one LoRA, and has {changed_by[layer]} and {keys.down}"
                )
            changed_by[layer] = keys.down
