"""Batches tell the model where the middle of its canvas is, and what the sampler will ask."""

import random

import pytest
import torch

from serve_app.tiny_flux.autoencoder import LATENT_CHANNELS
from serve_app.tiny_flux.batches import SUBSET_TOKENS, Batch, BatchMaker
from serve_app.tiny_flux.language import all_scenes
from serve_app.tiny_flux.latent_pool import LARGE, MIDDLE, SMALL, LatentPool
from serve_app.tiny_flux.vocabulary import build_clip_tokenizer, build_t5_tokenizer


@pytest.fixture(scope="module")
def batches() -> list[Batch]:
    """Many batches of random latents."""
    rng, pools = random.Random(0), {}
    torch.manual_seed(0)
    for width, height in (*SMALL, *MIDDLE, *LARGE):
        tokens = torch.randn(2, height // 64, width // 64, 4 * LATENT_CHANNELS)
        pools[width, height] = LatentPool(list(tokens), rng.sample(all_scenes(), 2))
    maker = BatchMaker(pools, build_clip_tokenizer(), build_t5_tokenizer(), rng)
    return [batch for _ in range(40) for batch in maker.group(tokens=300)]


def places(batch: Batch) -> set[tuple[int, int]]:
    return {(int(row), int(column)) for _, row, column in batch.image_ids.tolist()}


def test_every_choice_of_tokens_is_symmetric_and_has_the_corners(batches: list[Batch]) -> None:
    for batch in batches:
        kept = places(batch)
        last_row, last_column = max(row for row, _ in kept), max(column for _, column in kept)
        assert {(0, 0), (last_row, last_column)} <= kept
        assert kept == {(last_row - row, column) for row, column in kept}
        assert kept == {(row, last_column - column) for row, column in kept}


def test_large_canvases_come_whole_and_in_part(batches: list[Batch]) -> None:
    last = [batch.image_ids.max(0).values.tolist() for batch in batches]
    sizes = [int((rows + 1) * (columns + 1)) for _, rows, columns in last]
    whole = [len(places(batch)) == size for batch, size in zip(batches, sizes, strict=True)]
    large = [is_whole for is_whole, size in zip(whole, sizes, strict=True) if size > 100]
    assert 0.2 < sum(large) / len(large) < 0.6
    assert max(batch.noisy.shape[1] for batch in batches) > 2 * SUBSET_TOKENS


def test_the_target_leads_from_the_noisy_tokens_to_the_picture(batches: list[Batch]) -> None:
    for batch in batches:
        share = batch.sigma[:, None, None]
        clean = batch.noisy - share * batch.velocity
        noise = batch.noisy + (1 - share) * batch.velocity
        assert torch.isfinite(clean).all()
        assert torch.allclose((1 - share) * clean + share * noise, batch.noisy, atol=1e-4)
        assert abs(float(noise.mean())) < 0.1


def test_half_of_the_batches_are_next_to_pure_noise(batches: list[Batch]) -> None:
    near = [bool((batch.sigma > 0.9).all()) for batch in batches]
    assert 0.3 < sum(near) / len(near) < 0.75
    assert all(float(batch.sigma.min()) > 0 and float(batch.sigma.max()) <= 1 for batch in batches)
