"""Encoded pictures kept on disk, so that training the transformer needs no autoencoder."""

import logging
import random
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import Tensor

from serve_app.tiny_flux.autoencoder import LATENT_CHANNELS, PIXELS_PER_LATENT
from serve_app.tiny_flux.language import Scene, all_scenes, is_held_out
from serve_app.tiny_flux.pictures import draw

logger = logging.getLogger(__name__)

PIXELS_PER_TOKEN = 2 * PIXELS_PER_LATENT
SMALL = ((256, 256),)
MIDDLE = ((512, 512), (320, 256), (256, 320), (384, 384), (512, 320), (320, 512), (640, 384))
LARGE = (
    (1024, 1024),
    (1408, 768),
    (768, 1408),
    (1600, 704),
    (704, 1600),
    (1216, 896),
    (896, 1216),
    (1152, 960),
    (960, 1152),
    (1280, 896),
    (896, 1280),
    (768, 768),
    (1024, 512),
    (512, 1024),
)
# Pictures of a canvas in one round of encoding: (width, height) to count.
ROUND = {
    **dict.fromkeys(SMALL, 24),
    **dict.fromkeys(MIDDLE, 4),
    **dict.fromkeys(LARGE, 2),
    (512, 512): 48,
    (1024, 1024): 48,
    (1408, 768): 48,
    (768, 1408): 48,
    (1600, 704): 48,
}
PIXELS_AT_ONCE = 2**20


@dataclass(slots=True)
class LatentPool:
    """Latents of one canvas.

    Attributes:
        tokens: Packed latents, float16, shape (pictures, rows, columns, channels).
        scenes: What each picture shows.
    """

    tokens: list[Tensor] = field(default_factory=list)
    scenes: list[Scene] = field(default_factory=list)


class PoolReader:
    """Reads the pool's files, those included that appear while training runs."""

    def __init__(self, folder: Path) -> None:
        """Read nothing yet from a folder of pool files."""
        self._folder = folder
        self._seen: set[Path] = set()
        self.pools: dict[tuple[int, int], LatentPool] = {}

    def refresh(self) -> int:
        """Read the files that are new; return how many pictures there are in all."""
        scenes = all_scenes()
        for path in sorted(set(self._folder.glob("*.pt")) - self._seen):
            self._seen.add(path)
            for canvas, (tokens, indices) in torch.load(path).items():
                pool = self.pools.setdefault(canvas, LatentPool())
                pool.tokens.extend(tokens)
                pool.scenes.extend(scenes[index] for index in indices)
        return sum(len(pool.scenes) for pool in self.pools.values())


def fill_pool(vae_folder: Path, folder: Path, seconds: float, seed: int) -> None:
    """Draw and encode pictures of scenes that are not held out, for a while."""
    folder.mkdir(parents=True, exist_ok=True)
    vae = AutoencoderKL.from_pretrained(vae_folder).to(memory_format=torch.channels_last)
    rng = random.Random(seed)
    scenes = all_scenes()
    seen = [index for index, scene in enumerate(scenes) if not is_held_out(scene)]
    start, number = time.monotonic(), 0
    while time.monotonic() - start < seconds:
        round_ = {}
        for canvas, count in ROUND.items():
            indices = [rng.choice(seen) for _ in range(count)]
            round_[canvas] = (_encode(vae, canvas, [scenes[i] for i in indices], rng), indices)
        partial = folder / f"{seed}-{number:04d}.partial"
        torch.save(round_, partial)
        partial.rename(partial.with_suffix(".pt"))
        number += 1
        logger.info("pool %d: round %d, %.0f s", seed, number, time.monotonic() - start)


def pack(latents: Tensor) -> Tensor:
    """Join 2x2 latents into tokens, in FLUX's order of channels.

    Args:
        latents: Shape (pictures, channels, height, width).

    Returns:
        Shape (pictures, height / 2, width / 2, 4 * channels).
    """
    count, channels, height, width = latents.shape
    blocks = latents.reshape(count, channels, height // 2, 2, width // 2, 2)
    return blocks.permute(0, 2, 4, 1, 3, 5).flatten(3)


@torch.no_grad()
def _encode(
    vae: AutoencoderKL, canvas: tuple[int, int], scenes: list[Scene], rng: random.Random
) -> Tensor:
    width, height = canvas
    at_once = max(1, PIXELS_AT_ONCE // (width * height))
    chunks = []
    for first in range(0, len(scenes), at_once):
        pictures = [draw(scene, width, height, rng) for scene in scenes[first : first + at_once]]
        pixels = torch.stack([torch.from_numpy(picture) for picture in pictures])
        pixels = pixels.permute(0, 3, 1, 2).float() / 127.5 - 1
        latents = vae.encode(pixels).latent_dist.mode()
        assert latents.shape[1] == LATENT_CHANNELS
        chunks.append(pack(latents * vae.config.scaling_factor).half())
    return torch.cat(chunks)
