"""One LoRA file: whether it fits the transformer, how large it is, and its factors.

Everything but the values is known from the header, so a file is refused before a tensor is read.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from serve_app.errors import WeightsError
from serve_app.stages.device_copy import copy_to_device
from serve_app.stages.lora_keys import LayerKeys, read_keys
from serve_app.stages.lora_names import known_names
from serve_app.stages.lora_settings import LoraSettings, read_settings
from serve_app.stages.weights import weights_errors

FLOAT_DTYPES = ("F64", "F32", "F16", "BF16")
ALPHA_DTYPES = (*FLOAT_DTYPES, "I64", "I32")


@dataclass(frozen=True, slots=True)
class LinearShape:
    """How many numbers a Linear reads and writes."""

    in_features: int
    out_features: int


@dataclass(frozen=True, slots=True, eq=False)
class Factors:
    """What a LoRA adds to one Linear: `up(down(x))`.

    Attributes:
        down: (rank, in_features).
        up: (out_features, rank); the file's alpha is multiplied in.
    """

    down: torch.Tensor
    up: torch.Tensor


def linear_shapes(transformer: torch.nn.Module) -> dict[str, LinearShape]:
    """Return every Linear of a model by its name: what a LoRA may change."""
    return {
        name: LinearShape(module.in_features, module.out_features)
        for name, module in transformer.named_modules()
        if isinstance(module, torch.nn.Linear)
    }


@contextmanager
def open_lora(path: Path, shapes: Mapping[str, LinearShape]) -> Iterator["LoraFile"]:
    """Open a `.safetensors` file that holds a plain LoRA, and check its header.

    Args:
        path: Of diffusers' format, PEFT's, kohya's, OneTrainer's, ComfyUI's or XLabs'.
        shapes: Of the transformer's Linears.

    Raises:
        WeightsError: It is missing, broken, for another model, or no plain LoRA; the message is one
            line that names the file, the layer, the rule and the value.
    """
    with weights_errors(path):
        # Read, not mapped: a map of a file that somebody cuts short ends the process.
        opened = safe_open(path, framework="pt", backend="pread")
    with opened:
        yield LoraFile(path, opened, shapes)


class LoraFile:
    """A LoRA that fits the transformer, as long as its file is open."""

    def __init__(self, path: Path, opened: Any, shapes: Mapping[str, LinearShape]) -> None:
        self._path = path
        self._opened = opened
        self._shapes = shapes
        with weights_errors(path):
            self._settings: LoraSettings = read_settings(path, opened.metadata() or {})
            self._layers = read_keys(opened.keys(), known_names(shapes))
            for keys in self._layers:
                self._check_shapes(keys)

    def num_bytes(self, dtype: torch.dtype) -> int:
        """Return how much memory the factors take in a dtype."""
        keys = [key for layer in self._layers for key in (layer.down, layer.up)]
        numbers = sum(self._shape(key, FLOAT_DTYPES).numel() for key in keys)
        return numbers * dtype.itemsize

    def read(self, dtype: torch.dtype, device: torch.device) -> dict[str, Factors]:
        """Return the factors of each of the model's layers, in a dtype and on a device.

        Raises:
            WeightsError: A value cannot be used; the message is one line.
        """
        with weights_errors(self._path):
            read = [tensor for keys in self._layers for tensor in self._factors(keys, dtype)]
        placed = copy_to_device(read, device)
        factors: dict[str, Factors] = {}
        for keys, down, up in zip(self._layers, placed[::2], placed[1::2], strict=True):
            sizes = [self._shapes[layer].out_features for layer in keys.target.layers]
            for layer, part in zip(keys.target.layers, up.split(sizes), strict=True):
                factors[layer] = Factors(down, part)
        return factors

    def _factors(self, keys: LayerKeys, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
        down = self._opened.get_tensor(keys.down)
        up = self._opened.get_tensor(keys.up).float() * self._scale(keys, rank=len(down))
        if keys.target.swaps_halves:
            up = torch.cat(up.chunk(2)[::-1])
        return _finite(keys.down, down.to(dtype)), _finite(keys.up, up.to(dtype))

    def _scale(self, keys: LayerKeys, rank: int) -> float:
        if keys.alpha is None:
            return self._settings.scale(keys.name, rank)
        return float(self._opened.get_tensor(keys.alpha)) / rank

    def _check_shapes(self, keys: LayerKeys) -> None:
        in_features = self._shapes[keys.target.layers[0]].in_features
        out_features = sum(self._shapes[layer].out_features for layer in keys.target.layers)
        down, up = self._shape(keys.down, FLOAT_DTYPES), self._shape(keys.up, FLOAT_DTYPES)
        if len(down) != 2 or not down[0] or down[1] != in_features:
            raise WeightsError(f"{keys.down} must be (rank, {in_features}), not {tuple(down)}")
        if up != (out_features, down[0]):
            raise WeightsError(f"{keys.up} must be ({out_features}, {down[0]}), not {tuple(up)}")
        if keys.alpha is None:
            return
        if self._settings.alpha is not None:
            raise WeightsError(f"{keys.alpha} must not say again what the file's settings say")
        alpha = self._shape(keys.alpha, ALPHA_DTYPES)
        if alpha.numel() != 1:
            raise WeightsError(f"{keys.alpha} must be one number, not {tuple(alpha)}")

    def _shape(self, key: str, dtypes: Collection[str]) -> torch.Size:
        stored = self._opened.get_slice(key)
        if stored.get_dtype() not in dtypes:
            raise WeightsError(f"{key} must be {' or '.join(dtypes)}, not {stored.get_dtype()}")
        return torch.Size(stored.get_shape())


def _finite(key: str, tensor: torch.Tensor) -> torch.Tensor:
    if not torch.isfinite(tensor).all():
        raise WeightsError(f"{key} must be finite numbers in {tensor.dtype}, and is not")
    return tensor
