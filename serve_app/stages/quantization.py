"""The transformer in 8 bits, for requests that take speed or memory over the exact picture.

Only the linear layers of the blocks are quantised, by torchao: they hold nearly all of the
arithmetic. What modulates them (AdaLN) and the layers before and after the blocks act on one
vector per picture or set its scale; they keep their dtype. A quantised transformer is another set
of weights, so it is loaded beside the exact one and never made out of it in service.
"""

from pathlib import Path
from typing import Any, Literal

import torch
from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel
from torchao.quantization import (
    Float8DynamicActivationFloat8WeightConfig,
    Int8WeightOnlyConfig,
    PerRow,
    quantize_,
)

from serve_app.errors import ConfigError
from serve_app.stages.weights import load_model

Scheme = Literal["int8", "fp8"]

MIN_FP8_CAPABILITY = (8, 9)  # Ada and Hopper: the first GPUs that multiply in 8-bit floats
BLOCKS = ("transformer_blocks.", "single_transformer_blocks.")


def check_scheme(scheme: Scheme, dtype: torch.dtype, device: torch.device) -> None:
    """Refuse what a device cannot calculate.

    `int8` keeps the weights in 8 bits and calculates in `dtype`, on any device: it saves memory.
    `fp8` also calculates in 8 bits, with a scale for each token and each output: it saves time.

    Raises:
        ConfigError: `fp8` without its GPU, or with another dtype than bfloat16.
    """
    if scheme == "int8":
        return
    if device.type != "cuda":
        raise ConfigError(f"fp8 needs a GPU of compute capability 8.9 or higher, got {device}")
    capability = torch.cuda.get_device_capability(device)
    if capability < MIN_FP8_CAPABILITY:
        found = ".".join(map(str, capability))
        raise ConfigError(f"fp8 needs a GPU of compute capability 8.9 or higher, got {found}")
    if dtype != torch.bfloat16:
        raise ConfigError(f"fp8 needs the dtype bfloat16, got {str(dtype).removeprefix('torch.')}")


def quantize(transformer: FluxTransformer2DModel, scheme: Scheme) -> None:
    """Quantise a transformer where it lies; its dtype, as others see it, stays the same.

    Raises:
        ConfigError: Its device or its dtype cannot do it.
    """
    _quantize_on(transformer.device, transformer, scheme)


def load_quantized(
    directory: Path, scheme: Scheme, dtype: torch.dtype, device: torch.device
) -> FluxTransformer2DModel:
    """Return the transformer of a diffusers directory in 8 bits.

    It goes to the device layer by layer, each quantised as it arrives, so that the device never
    holds more than the result and one layer.

    Raises:
        ConfigError: The device or the dtype cannot do it.
        WeightsError: The weights are missing or broken.
    """
    check_scheme(scheme, dtype, device)
    cpu = torch.device("cpu")
    transformer = load_model(FluxTransformer2DModel, directory, "transformer", dtype, cpu)
    _quantize_on(device, transformer, scheme)
    return transformer


def weights_bytes(module: torch.nn.Module) -> int:
    """Return how many bytes a module's weights take, the scales of quantised ones included."""
    return sum(_num_bytes(parameter) for parameter in module.parameters())


def is_quantizable(module: torch.nn.Module, name: str) -> bool:
    """Return whether a module of a transformer, by its full name, is one that is quantised."""
    is_in_block = name.startswith(BLOCKS) and ".norm" not in name
    return isinstance(module, torch.nn.Linear) and is_in_block


def _quantize_on(device: torch.device, transformer: FluxTransformer2DModel, scheme: Scheme) -> None:
    check_scheme(scheme, transformer.dtype, device)
    quantize_(transformer, _torchao_config(scheme), filter_fn=is_quantizable, device=device)


def _torchao_config(scheme: Scheme) -> Any:
    # torchao would else change the compiler's settings for all models of this process.
    if scheme == "int8":
        return Int8WeightOnlyConfig(set_inductor_config=False)
    return Float8DynamicActivationFloat8WeightConfig(
        granularity=PerRow(), set_inductor_config=False
    )


def _num_bytes(tensor: torch.Tensor) -> int:
    flatten = getattr(tensor, "__tensor_flatten__", None)
    if flatten is None:
        return tensor.nbytes
    inner_names, _ = flatten()
    return sum(_num_bytes(getattr(tensor, name)) for name in inner_names)
