"""Inpainting: which latents are painted anew, and the picture that shows through elsewhere."""

from dataclasses import dataclass

import numpy as np
import torch

from serve_app.diffusion.euler import scale_noise
from serve_app.diffusion.latents import LatentShape, pack_latents

PAINTED_FROM = 0.5


def pack_mask(mask: np.ndarray, shape: LatentShape, dtype: torch.dtype) -> torch.Tensor:
    """Return a picture's mask as packed latents, 1 where it is painted anew and 0 elsewhere.

    Args:
        mask: (height, width) uint8 at the size of the canvas; 128 and above is painted.
        shape: Of the unpacked latents.
        dtype: Of the result, (1, image_seq_len, 4 * num_channels).
    """
    levels = torch.from_numpy(mask.astype(np.float32) / 255.0)
    painted = (levels >= PAINTED_FROM).to(torch.float32)[None, None]
    latent_mask = torch.nn.functional.interpolate(painted, size=(shape.height, shape.width))
    return pack_latents(latent_mask.to(dtype).repeat(1, shape.num_channels, 1, 1))


@dataclass(frozen=True, slots=True)
class Repaint:
    """What keeps the unmasked part of a picture as it was; all packed, all on one device.

    Attributes:
        mask: 1 where the picture is painted anew.
        image_latents: The picture.
        noise: That the denoising started from.
    """

    mask: torch.Tensor
    image_latents: torch.Tensor
    noise: torch.Tensor

    def blend(self, latents: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        """Return `latents` under the mask and the picture elsewhere, at noise level `sigma`."""
        kept = scale_noise(self.image_latents, self.noise, sigma)
        return (1 - self.mask) * kept + self.mask * latents
