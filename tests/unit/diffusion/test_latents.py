"""Latents against the private methods of FluxPipeline that they must equal."""

import pytest
import torch
from diffusers import FluxPipeline

from serve_app.diffusion.latents import (
    LatentShape,
    cpu_generator,
    draw_noise,
    latent_image_ids,
    pack_latents,
    text_ids,
    unpack_latents,
)
from serve_app.errors import InvalidRequestError
from serve_app.messages import Size

CANVASES = [(Size(64, 128), 8, 16), (Size(1024, 768), 8, 16), (Size(64, 192), 32, 8)]
DTYPES = [torch.float32, torch.bfloat16]


@pytest.mark.parametrize(("canvas", "vae_scale_factor", "num_channels"), CANVASES)
def test_pack_and_unpack_equal_diffusers(
    canvas: Size, vae_scale_factor: int, num_channels: int
) -> None:
    shape = LatentShape.of(canvas, vae_scale_factor, num_channels)
    latents = draw_noise(shape, cpu_generator(0), torch.float32)
    packed = pack_latents(latents)
    assert packed.shape == (1, shape.image_seq_len, 4 * num_channels)
    assert torch.equal(
        packed, FluxPipeline._pack_latents(latents, 1, num_channels, shape.height, shape.width)
    )
    unpacked = unpack_latents(packed, shape)
    assert torch.equal(unpacked, latents)
    assert torch.equal(
        unpacked,
        FluxPipeline._unpack_latents(packed, canvas.height, canvas.width, vae_scale_factor),
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("canvas", "vae_scale_factor", "num_channels"), CANVASES)
def test_latent_image_ids_equal_diffusers(
    canvas: Size, vae_scale_factor: int, num_channels: int, dtype: torch.dtype
) -> None:
    shape = LatentShape.of(canvas, vae_scale_factor, num_channels)
    ids = latent_image_ids(shape, dtype)
    reference = FluxPipeline._prepare_latent_image_ids(
        1, shape.height // 2, shape.width // 2, "cpu", dtype
    )
    assert ids.dtype == dtype
    assert torch.equal(ids, reference)


def test_text_has_no_position() -> None:
    assert torch.equal(text_ids(5, torch.bfloat16), torch.zeros(5, 3, dtype=torch.bfloat16))


@pytest.mark.parametrize("dtype", DTYPES)
def test_noise_depends_on_the_seed_alone(dtype: torch.dtype) -> None:
    shape = LatentShape(16, 4, 6)
    noise = draw_noise(shape, cpu_generator(2**63 - 1), dtype)
    assert noise.dtype == dtype
    assert torch.equal(noise, draw_noise(shape, cpu_generator(2**63 - 1), dtype))
    assert not torch.equal(noise, draw_noise(shape, cpu_generator(0), dtype))


@pytest.mark.parametrize(
    "canvas", [Size(100, 64), Size(64, 100), Size(8, 8), Size(0, 16), Size(-16, 16)]
)
def test_a_canvas_that_does_not_fit_is_refused(canvas: Size) -> None:
    with pytest.raises(InvalidRequestError, match=f"multiple of 16 .* got {canvas}") as refused:
        LatentShape.of(canvas, 8, 16)
    assert refused.value.param == "size"
