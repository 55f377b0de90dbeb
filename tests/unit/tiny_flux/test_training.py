"""Training starts, learns, and goes on where it was stopped."""

import random
from pathlib import Path

import pytest
import torch

from serve_app.tiny_flux.autoencoder import LATENT_CHANNELS, build_autoencoder, rescale_latents
from serve_app.tiny_flux.language import all_scenes
from serve_app.tiny_flux.latent_pool import LARGE, MIDDLE, SMALL, pack
from serve_app.tiny_flux.muon import orthogonalize
from serve_app.tiny_flux.train_flux import FluxRun, FluxTrainer


def test_latents_are_packed_as_diffusers_packs_them() -> None:
    from diffusers import FluxPipeline

    latents = torch.randn(2, 16, 6, 4)
    expected = FluxPipeline._pack_latents(latents, 2, 16, 6, 4)
    assert torch.equal(pack(latents).flatten(1, 2), expected)


def test_the_autoencoder_starts_by_passing_flat_colour_on() -> None:
    torch.manual_seed(0)
    model = build_autoencoder()
    picture = torch.tensor([0.6, -0.4, 0.1])[None, :, None, None].expand(1, 3, 128, 128)
    with torch.no_grad():
        rebuilt = model.decode(model.encode(picture).latent_dist.mode()).sample
    assert (rebuilt - picture)[..., 32:-32, 32:-32].abs().mean() < 0.3


def test_rescaling_latents_leaves_pictures_as_they_are() -> None:
    torch.manual_seed(0)
    model = build_autoencoder()
    picture = torch.rand(2, 3, 128, 128) * 2 - 1
    with torch.no_grad():
        latents = model.encode(picture).latent_dist.mode()
        before = model.decode(latents).sample
        rescale_latents(model, latents)
        rescaled = model.encode(picture).latent_dist.mode()
        after = model.decode(rescaled).sample
    assert torch.allclose(before, after, atol=1e-4)
    assert not torch.allclose(latents, rescaled, atol=1e-2)


def test_orthogonalized_matrices_have_singular_values_near_one() -> None:
    torch.manual_seed(0)
    for shape in ((3, 24, 60), (2, 60, 24)):
        values = torch.linalg.svdvals(orthogonalize(torch.randn(shape)))
        assert values.min() > 0.4
        assert values.max() < 1.4


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A training folder with a pool of random latents for a few scenes."""
    pool = tmp_path / "pool"
    pool.mkdir()
    rng = random.Random(0)
    torch.manual_seed(0)
    content = {}
    for width, height in (*SMALL, *MIDDLE, *LARGE):
        tokens = torch.randn(3, height // 64, width // 64, 4 * LATENT_CHANNELS).half()
        content[width, height] = (tokens, rng.sample(range(len(all_scenes())), 3))
    torch.save(content, pool / "1-0000.pt")
    return tmp_path


def run(folder: Path, seconds: float) -> FluxRun:
    return FluxRun(folder, seconds, decay_seconds=0, tokens=200, rate=1.0, seed=1)


def test_training_goes_on_where_it_was_stopped(folder: Path) -> None:
    first = FluxTrainer(run(folder, 3.0))
    first.train()
    steps = torch.load(folder / "state.pt")["progress"][0]
    assert steps > 0
    second = FluxTrainer(run(folder, 3.0))
    assert second._progress.step == steps
    ours, theirs = first._module.state_dict(), second._module.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    moments = [optimiser.state_dict()["state"] for optimiser in second._optimisers]
    assert all(moments)
    second.train()
    assert torch.load(folder / "state.pt")["progress"][0] > steps
