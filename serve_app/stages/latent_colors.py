"""The colour of each latent by a linear map: a blurred picture without the VAE's decoder."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from serve_app.messages import Size

# What the map is fitted to: pictures of a few patches, of hard edges and of soft ones.
CELLS_PER_SIDE = 8
PATCHES_PER_SIDE = (2, 3, 4)
NUM_PICTURES = 4  # of each number of patches and each kind of edge
# Of the colours: beyond 1 they are clamped, so that black, white and full colours are frequent.
SPREAD = 1.5
SEED = 0


@dataclass(frozen=True, slots=True)
class LatentColors:
    """A least-squares fit; float32 on the CPU, where the latents of a message are.

    Attributes:
        weights: (num_channels + 1, 3); the last row is the bias.
    """

    weights: torch.Tensor

    @classmethod
    def fit(cls, latents: torch.Tensor, pictures: torch.Tensor) -> "LatentColors":
        """Return the map that gives the mean colours of pictures from their latents at best.

        Args:
            latents: (batch, num_channels, height, width).
            pictures: (batch, 3, height * f, width * f), from -1 to 1.
        """
        _, _, height, width = latents.shape
        cells = F.adaptive_avg_pool2d(pictures.double(), (height, width))
        # "gelsd" also solves what some channel has no part in.
        solved = torch.linalg.lstsq(
            _with_one(latents.double()).flatten(0, 2),
            cells.permute(0, 2, 3, 1).flatten(0, 2),
            driver="gelsd",
        )
        return cls(solved.solution.float())

    @classmethod
    def of(
        cls, encode: Callable[[torch.Tensor], torch.Tensor], vae_scale_factor: int
    ) -> "LatentColors":
        """Return the map of a VAE, fitted to what its encoder makes of pictures drawn here.

        Args:
            encode: From pictures, (batch, 3, height, width) and -1 to 1, to their latents as the
                denoiser has them.
            vae_scale_factor: How many times smaller the latents are on each side.
        """
        kinds = patchwork(CELLS_PER_SIDE * vae_scale_factor)
        latents = torch.cat([encode(pictures).cpu() for pictures in kinds])
        return cls.fit(latents, torch.cat(kinds))

    def picture(self, latents: torch.Tensor, canvas: Size) -> torch.Tensor:
        """Return the pictures of unpacked latents, (batch, 3, height, width) and -1 to 1."""
        colors = _with_one(latents.float()) @ self.weights
        cells = colors.permute(0, 3, 1, 2).clamp(-1, 1)
        size = (canvas.height, canvas.width)
        return F.interpolate(cells, size=size, mode="bicubic").clamp(-1, 1)


def patchwork(side_px: int) -> list[torch.Tensor]:
    """Return batches of square pictures of random colours, (batch, 3, side_px, side_px)."""
    generator = torch.Generator().manual_seed(SEED)
    batches = []
    for patches in PATCHES_PER_SIDE:
        for edges in ("nearest-exact", "bicubic"):
            size = (NUM_PICTURES, 3, patches, patches)
            colors = (2 * torch.rand(size, generator=generator) - 1) * SPREAD
            drawn = F.interpolate(colors.clamp(-1, 1), size=(side_px, side_px), mode=edges)
            batches.append(drawn.clamp(-1, 1))
    return batches


def _with_one(latents: torch.Tensor) -> torch.Tensor:
    """Return (batch, height, width, num_channels + 1): the last is 1, for the bias."""
    cells = latents.permute(0, 2, 3, 1)
    return torch.cat([cells, torch.ones_like(cells[..., :1])], dim=-1)
