"""Latents of one picture: their shape, first noise, packing and positions.

The VAE makes a picture `vae_scale_factor` times smaller (8 for FLUX.1); the transformer reads
2x2 of its latents as one token. "Packed" means (1, image_seq_len, 4 * num_channels).
"""

from dataclasses import dataclass

import torch

from serve_app.errors import InvalidRequestError
from serve_app.messages import Size


@dataclass(frozen=True, slots=True)
class LatentShape:
    """Shape of the unpacked latents of one picture: (1, num_channels, height, width)."""

    num_channels: int
    height: int
    width: int

    @classmethod
    def of(cls, canvas: Size, vae_scale_factor: int, num_channels: int) -> "LatentShape":
        """Return the shape of a canvas.

        Raises:
            InvalidRequestError: A side is not a positive multiple of `2 * vae_scale_factor`.
        """
        multiple = 2 * vae_scale_factor
        if (
            min(canvas.width, canvas.height) < 1
            or canvas.width % multiple
            or canvas.height % multiple
        ):
            raise InvalidRequestError(
                f"size must be a multiple of {multiple} on each side, got {canvas}", "size"
            )
        return cls(
            num_channels, canvas.height // vae_scale_factor, canvas.width // vae_scale_factor
        )

    @property
    def image_seq_len(self) -> int:
        """Packed latents, that is tokens of the transformer."""
        return (self.height // 2) * (self.width // 2)


def cpu_generator(seed: int) -> torch.Generator:
    """Return the generator every random number of one picture comes from.

    On the CPU whatever the model's device: a seed means the same picture on every machine.
    """
    return torch.Generator("cpu").manual_seed(seed)


def draw_noise(shape: LatentShape, generator: torch.Generator, dtype: torch.dtype) -> torch.Tensor:
    """Return unpacked noise, (1, num_channels, height, width) on the CPU."""
    size = (1, shape.num_channels, shape.height, shape.width)
    return torch.randn(size, generator=generator, dtype=dtype)


def pack_latents(latents: torch.Tensor) -> torch.Tensor:
    """Return (batch, channels, height, width) as (batch, image_seq_len, 4 * channels)."""
    batch, channels, height, width = latents.shape
    patches = latents.view(batch, channels, height // 2, 2, width // 2, 2)
    return patches.permute(0, 2, 4, 1, 3, 5).reshape(batch, -1, channels * 4)


def unpack_latents(latents: torch.Tensor, shape: LatentShape) -> torch.Tensor:
    """Return packed latents as (batch, num_channels, height, width); undoes `pack_latents`."""
    patches = latents.view(-1, shape.height // 2, shape.width // 2, shape.num_channels, 2, 2)
    unpacked = patches.permute(0, 3, 1, 4, 2, 5)
    return unpacked.reshape(-1, shape.num_channels, shape.height, shape.width)


def latent_image_ids(shape: LatentShape, dtype: torch.dtype) -> torch.Tensor:
    """Return the position of every packed latent, (image_seq_len, 3): 0, row, column."""
    rows, columns = shape.height // 2, shape.width // 2
    ids = torch.zeros(rows, columns, 3)
    ids[..., 1] = torch.arange(rows)[:, None]
    ids[..., 2] = torch.arange(columns)[None, :]
    return ids.reshape(-1, 3).to(dtype)


def text_ids(num_tokens: int, dtype: torch.dtype) -> torch.Tensor:
    """Return the position of every prompt token, (num_tokens, 3): text has none, so zeros."""
    return torch.zeros(num_tokens, 3, dtype=dtype)
