"""A preview by the linear map resembles what the decoder makes of the same latents."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from serve_app.config import EMBEDDED_MODEL_DIR
from serve_app.errors import StageFailedError
from serve_app.messages import Latents, PromptFacts, Size
from serve_app.stages.latent_colors import LatentColors
from serve_app.stages.vae import VaeStage
from serve_app.tiny_flux.judge import judge
from serve_app.tiny_flux.language import Scene
from serve_app.tiny_flux.pictures import draw

CPU = torch.device("cpu")
FACTS = PromptFacts(num_tokens=1, is_truncated=False)
CANVAS = Size(384, 256)
SCENES = (
    Scene("white", "red", "circle", "large", "left"),
    Scene("blue", "yellow", "square", "large", "right"),
    Scene("green", "black", "triangle", "large"),
    Scene("black", "orange", "cross", "large"),
)


@pytest.fixture(scope="module")
def vae() -> VaeStage:
    return VaeStage.load(EMBEDDED_MODEL_DIR, torch.float32, CPU).with_linear_previews()


def previewed(vae: VaeStage, scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """Return a scene's latents by the map and by the decoder."""
    drawn = draw(scene, CANVAS.width, CANVAS.height, random.Random(0))
    latents = vae.encode(drawn, seed=0).image_latents
    preview = vae.decode(Latents(latents, CANVAS, FACTS, is_preview=True))
    picture = vae.decode(Latents(latents, CANVAS, FACTS))
    return preview.array.astype(float), picture.array.astype(float)


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


@pytest.mark.parametrize("scene", SCENES, ids=str)
def test_it_resembles_the_decoded_picture(vae: VaeStage, scene: Scene) -> None:
    preview, picture = previewed(vae, scene)
    of_one_color = picture.mean((0, 1))
    assert preview.shape == picture.shape
    assert correlation(preview, picture) > 0.85
    error, spread = np.square(preview - picture).mean(), np.square(of_one_color - picture).mean()
    assert error < 0.6 * spread


def test_it_resembles_its_own_picture_only(vae: VaeStage) -> None:
    pairs = [previewed(vae, scene) for scene in SCENES]
    for index, (preview, _) in enumerate(pairs):
        likeness = [correlation(preview, picture) for _, picture in pairs]
        assert int(np.argmax(likeness)) == index


def test_the_judge_sees_the_place_and_most_of_the_colors(vae: VaeStage) -> None:
    verdicts = [judge(previewed(vae, scene)[0].astype(np.uint8), scene) for scene in SCENES]
    assert sum(verdict.background for verdict in verdicts) >= 3
    assert all(verdict.position for verdict in verdicts)


def test_a_map_that_is_not_fitted_shows_nothing_of_it(vae: VaeStage) -> None:
    assert vae.latent_colors is not None
    generator = torch.Generator().manual_seed(0)
    random_map = LatentColors(torch.randn(vae.latent_colors.weights.shape, generator=generator))
    unfitted = VaeStage(vae.vae, random_map)
    assert correlation(*previewed(unfitted, SCENES[0])) < 0.5


def test_a_linear_world_is_found_exactly() -> None:
    generator = torch.Generator().manual_seed(0)
    weights = torch.rand(6, 3, generator=generator) / 12
    latents = torch.rand(4, 5, 6, 7, generator=generator)
    colors = torch.einsum("bchw,cd->bdhw", latents, weights[:-1]) + weights[-1][:, None, None]
    pictures = colors.repeat_interleave(8, 2).repeat_interleave(8, 3)
    fitted = LatentColors.fit(latents, pictures)
    torch.testing.assert_close(fitted.weights, weights, atol=1e-5, rtol=0)
    # At the size of the latents nothing is left to smooth.
    assert torch.allclose(fitted.picture(latents, Size(7, 6)), colors, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_fits_any_vae_and_dtype(flux_directory: Path, dtype: torch.dtype) -> None:
    stage = VaeStage.load(flux_directory, dtype, CPU).with_linear_previews()
    latents = torch.zeros(1, 6, 64, dtype=dtype)
    preview = stage.decode(Latents(latents, Size(48, 32), FACTS, is_preview=True))
    assert preview.array.shape == (32, 48, 3)
    assert preview.is_preview
    with pytest.raises(StageFailedError):
        stage.decode(Latents(latents * float("nan"), Size(48, 32), FACTS, is_preview=True))
