"""What LoRAs are for: the Linears of a small random model, and of FLUX.1 itself."""

from pathlib import Path

import pytest
import torch
from diffusers import FluxTransformer2DModel

from serve_app.stages.lora_file import LinearShape, linear_shapes
from serve_app.stages.transformer import TransformerStage


@pytest.fixture(scope="session")
def shapes(flux_directory: Path) -> dict[str, LinearShape]:
    """Of the small random model."""
    return linear_shapes(
        TransformerStage.load(flux_directory, torch.float32, torch.device("cpu")).transformer
    )


@pytest.fixture(scope="session")
def flux_shapes() -> dict[str, LinearShape]:
    """Of FLUX.1 with one block of each kind, whose sizes diffusers' conversions rely on."""
    with torch.device("meta"):
        return linear_shapes(
            FluxTransformer2DModel(num_layers=1, num_single_layers=1, guidance_embeds=True)
        )
