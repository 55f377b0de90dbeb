"""Masks against FluxInpaintPipeline's own preparation, and what a blend keeps."""

import numpy as np
import pytest
import torch
from diffusers.image_processor import VaeImageProcessor
from PIL import Image

from serve_app.diffusion.latents import LatentShape, pack_latents
from serve_app.diffusion.masks import Repaint, pack_mask
from serve_app.messages import Size

CANVAS = Size(96, 64)


def reference_mask(mask: np.ndarray, shape: LatentShape) -> torch.Tensor:
    """Return what FluxInpaintPipeline does between its argument and its first step."""
    processor = VaeImageProcessor(
        vae_scale_factor=16, do_normalize=False, do_binarize=True, do_convert_grayscale=True
    )
    levels = processor.preprocess(Image.fromarray(mask), height=CANVAS.height, width=CANVAS.width)
    small = torch.nn.functional.interpolate(levels, size=(shape.height, shape.width))
    return pack_latents(small.repeat(1, shape.num_channels, 1, 1))


@pytest.mark.parametrize(("vae_scale_factor", "num_channels"), [(8, 16), (16, 4)])
def test_a_soft_mask_equals_diffusers(vae_scale_factor: int, num_channels: int) -> None:
    shape = LatentShape.of(CANVAS, vae_scale_factor, num_channels)
    rng = np.random.default_rng(0)
    mask = rng.integers(0, 256, (CANVAS.height, CANVAS.width), dtype=np.uint8)
    packed = pack_mask(mask, shape, torch.float32)
    assert packed.shape == (1, shape.image_seq_len, 4 * num_channels)
    assert 0 < packed.mean() < 1
    assert torch.equal(packed, reference_mask(mask, shape))


@pytest.mark.parametrize(("level", "painted"), [(0, 0), (127, 0), (128, 1), (255, 1)])
def test_a_mask_is_cut_at_half(level: int, painted: int) -> None:
    shape = LatentShape.of(CANVAS, 8, 16)
    mask = np.full((CANVAS.height, CANVAS.width), level, np.uint8)
    packed = pack_mask(mask, shape, torch.bfloat16)
    assert packed.dtype == torch.bfloat16
    assert (packed == painted).all()


def test_the_last_blend_keeps_the_picture_outside_the_mask() -> None:
    image_latents, noise, latents = torch.randn(
        (3, 1, 6, 64), generator=torch.Generator().manual_seed(0)
    )
    mask = torch.zeros(1, 6, 64)
    mask[:, :3] = 1
    blended = Repaint(mask, image_latents, noise).blend(latents, torch.tensor(0.0))
    assert torch.equal(blended[:, :3], latents[:, :3])
    assert torch.equal(blended[:, 3:], image_latents[:, 3:])
