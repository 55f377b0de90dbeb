"""Batches for the transformer: which canvas, which tokens of it, how much noise."""

import random
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import Tensor

from serve_app.tiny_flux.language import caption
from serve_app.tiny_flux.latent_pool import LARGE, MIDDLE, SMALL, LatentPool
from serve_app.tiny_flux.networks import schedule_shift
from serve_app.tiny_flux.vocabulary import MAX_TEXT_TOKENS

# Canvases that come up more often than the rest of their group.
FAVOURED = {
    (512, 512): 24.0,
    (1024, 1024): 8.0,
    (1408, 768): 18.0,
    (768, 1408): 24.0,
    (1600, 704): 16.0,
}
# Those whose straight edges the judge finds ragged first.
FAVOURED_SHAPES = {"square": 1.5, "cross": 1.5}
SMALL_SHARE = 0.25  # of steps: a small canvas in the middle one's stead
SUBSET_TOKENS = 48  # image tokens kept of a large canvas
WHOLE_SHARE = 0.4  # of the large canvases' batches: every token kept
DROPPED_CAPTIONS = 0.02
# The sampler settles where things are in its first steps: many tokens together show a flat
# colour through nearly pure noise, so only there does the text earn what it must teach.
NEAR_NOISE_SHARE = 0.5  # of batches: noise above NEAR_NOISE, half of it in the top quarter
NEAR_NOISE = 0.92
EXTRA_SHIFT = 0.4  # over the sampler's own, towards noise
MAX_GUIDANCE = 7.0


@dataclass(frozen=True, slots=True)
class Batch:
    """Inputs and targets of one forward pass.

    Attributes:
        noisy: Image tokens with noise, shape (samples, tokens, channels).
        velocity: What the transformer must say: noise minus image, same shape.
        sigma: Share of noise, shape (samples,).
        image_ids: Rows and columns of the tokens, shape (tokens, 3).
        clip_ids: CLIP token ids, shape (samples, longest caption).
        t5_ids: T5 token ids, shape (samples, MAX_TEXT_TOKENS).
        guidance: Guidance scale that the model learns to ignore, shape (samples,).
    """

    noisy: Tensor
    velocity: Tensor
    sigma: Tensor
    image_ids: Tensor
    clip_ids: Tensor
    t5_ids: Tensor
    guidance: Tensor


@dataclass(slots=True)
class BatchMaker:
    """Draws batches from the pools.

    Attributes:
        pools: Latents by canvas (width, height) in pixels.
        clip_tokenizer: First tokenizer.
        t5_tokenizer: Second tokenizer.
        rng: Source of choices; torch's own generator makes the noise.
    """

    pools: dict[tuple[int, int], LatentPool]
    clip_tokenizer: Any
    t5_tokenizer: Any
    rng: random.Random

    def group(self, tokens: int) -> list[Batch]:
        """Return the batches of one step: a small or middle canvas and two large ones.

        Args:
            tokens: Text and image tokens that each of them may have in all.
        """
        first = SMALL if self.rng.random() < SMALL_SHARE else MIDDLE
        return [self._batch(self._canvas(group), tokens) for group in (first, LARGE, LARGE)]

    def _canvas(self, group: tuple[tuple[int, int], ...]) -> tuple[int, int]:
        weights = [FAVOURED.get(canvas, 1.0) for canvas in group]
        return self.rng.choices(group, weights)[0]

    def _batch(self, canvas: tuple[int, int], tokens: int) -> Batch:
        pool = self.pools[canvas]
        rows, columns = pool.tokens[0].shape[:2]
        near_noise = self.rng.random() < NEAR_NOISE_SHARE
        kept = self._kept(rows, columns)
        count = max(2, tokens // (len(kept) + MAX_TEXT_TOKENS))
        weights = [FAVOURED_SHAPES.get(scene.shape, 1.0) for scene in pool.scenes]
        picked = self.rng.choices(range(len(pool.scenes)), weights, k=count)
        clean = torch.stack([pool.tokens[index].flatten(0, 1)[kept] for index in picked]).float()
        sigma = _near_noise(count) if near_noise else _sampler_noise(count, rows * columns)
        noise = torch.randn_like(clean)
        share = sigma[:, None, None]
        clip_ids, t5_ids = self.tokenize([self._caption(pool, index) for index in picked])
        return Batch(
            noisy=(1 - share) * clean + share * noise,
            velocity=noise - clean,
            sigma=sigma,
            image_ids=image_ids(rows, columns)[kept],
            clip_ids=clip_ids,
            t5_ids=t5_ids,
            guidance=torch.empty(count).uniform_(1, MAX_GUIDANCE),
        )

    def tokenize(self, captions: list[str]) -> tuple[Tensor, Tensor]:
        """Return the ids of captions for CLIP and T5, each of shape (captions, tokens)."""
        clip = self.clip_tokenizer(captions, padding=True, truncation=True, return_tensors="pt")
        t5 = self.t5_tokenizer(
            captions,
            padding="max_length",
            max_length=MAX_TEXT_TOKENS,
            truncation=True,
            return_tensors="pt",
        )
        return clip.input_ids, t5.input_ids

    def _caption(self, pool: LatentPool, index: int) -> str:
        if self.rng.random() < DROPPED_CAPTIONS:
            return ""
        return caption(pool.scenes[index], self.rng)

    def _kept(self, rows: int, columns: int) -> Tensor:
        """Choose image tokens: all of them, or some with their reflections and the corners.

        A token learns where it is from the places of the others. Symmetric about the canvas's
        middle, a part of them tells the same middle as all of them do.
        """
        count = rows * columns
        if count <= 1.5 * SUBSET_TOKENS or self.rng.random() < WHOLE_SHARE:
            return torch.arange(count)
        quarter = list(product(range((rows + 1) // 2), range((columns + 1) // 2)))
        chosen = [quarter[0], *self.rng.sample(quarter[1:], SUBSET_TOKENS // 4 - 1)]
        kept = {
            row * columns + column
            for above, left in chosen
            for row in (above, rows - 1 - above)
            for column in (left, columns - 1 - left)
        }
        return torch.tensor(sorted(kept))


def _near_noise(count: int) -> Tensor:
    """Draw shares of noise next to 1."""
    return 1 - (1 - NEAR_NOISE) * torch.rand(count).square()


def _sampler_noise(count: int, tokens: int) -> Tensor:
    """Draw shares of noise as the sampler passes them, with a little more shift."""
    plain = torch.sigmoid(torch.randn(count))
    factor = torch.tensor(schedule_shift(tokens) + EXTRA_SHIFT).exp()
    return (factor * plain / (1 + (factor - 1) * plain)).clamp(min=1e-3)


def image_ids(rows: int, columns: int) -> Tensor:
    """Return FLUX's place of every image token, shape (rows * columns, 3)."""
    ids = torch.zeros(rows, columns, 3)
    ids[..., 1] = torch.arange(rows)[:, None]
    ids[..., 2] = torch.arange(columns)[None, :]
    return ids.flatten(0, 1)
