"""A packed forward gives each picture what a forward of its own gives."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from serve_app.diffusion.latents import LatentShape, latent_image_ids
from serve_app.engine.packed import PackedInputs, PackedTransformer
from serve_app.messages import Size
from serve_app.stages.transformer import TransformerStage
from tests.unit.stages.random_flux import WIDTH


@dataclass(frozen=True)
class Picture:
    """What the transformer reads of one picture."""

    canvas: Size
    text_length: int
    timestep: float
    guidance_scale: float
    seed: int


MIXED = (
    Picture(Size(32, 48), 16, 981.0, 4.5, 1),
    Picture(Size(64, 16), 7, 43.5, 1.0, 2),
    Picture(Size(64, 64), 16, 512.25, 7.0, 3),
    Picture(Size(16, 16), 1, 1000.0, 0.0, 4),
)


def tensors(stage: TransformerStage, picture: Picture) -> dict[str, torch.Tensor]:
    shape = LatentShape.of(picture.canvas, stage.vae_scale_factor, stage.num_latent_channels)
    generator = torch.Generator().manual_seed(picture.seed)

    def noise(*size: int) -> torch.Tensor:
        return torch.randn(*size, generator=generator).to(stage.dtype)

    return {
        "latents": noise(1, shape.image_seq_len, 4 * shape.num_channels),
        "prompt_embeds": noise(1, picture.text_length, WIDTH),
        "pooled_prompt_embeds": noise(1, WIDTH),
        "latent_image_ids": latent_image_ids(shape, stage.dtype),
    }


def alone(stage: TransformerStage, picture: Picture) -> torch.Tensor:
    return stage.predict(
        timestep=torch.tensor(picture.timestep),
        guidance_scale=picture.guidance_scale,
        **tensors(stage, picture),
    )[0]


def packed_inputs(stage: TransformerStage, pictures: tuple[Picture, ...]) -> PackedInputs:
    given = [tensors(stage, picture) for picture in pictures]
    return PackedInputs(
        latents=[one["latents"][0] for one in given],
        prompt_embeds=[one["prompt_embeds"][0] for one in given],
        pooled_prompt_embeds=torch.cat([one["pooled_prompt_embeds"] for one in given]),
        timesteps=torch.tensor([picture.timestep for picture in pictures]),
        guidance_scales=torch.tensor([picture.guidance_scale for picture in pictures]),
        latent_image_ids=[one["latent_image_ids"] for one in given],
    )


@torch.no_grad()
def packed(
    stage: TransformerStage,
    pictures: tuple[Picture, ...],
    dropped: frozenset[int] = frozenset(),
    transformer: PackedTransformer | None = None,
) -> list[torch.Tensor]:
    transformer = transformer or PackedTransformer(stage.transformer)
    hidden = transformer.first_block(transformer.embed(packed_inputs(stage, pictures)))
    hidden = hidden.without(dropped)
    return transformer.head(transformer.other_blocks(hidden), hidden)


@pytest.fixture(params=[torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def stage(request: pytest.FixtureRequest, flux_directory: Path) -> TransformerStage:
    return TransformerStage.load(flux_directory, request.param, torch.device("cpu"))


@pytest.mark.parametrize("pictures", [MIXED[:1], MIXED[:2], MIXED, MIXED[2:] * 3])
def test_it_equals_a_forward_of_its_own(
    stage: TransformerStage, pictures: tuple[Picture, ...]
) -> None:
    atol = 1e-6 if stage.dtype == torch.float32 else 0
    for picture, noise_pred in zip(pictures, packed(stage, pictures), strict=True):
        expected = alone(stage, picture)
        torch.testing.assert_close(noise_pred, expected, atol=atol, rtol=0)


def test_a_picture_alone_has_the_very_bits(stage: TransformerStage) -> None:
    (noise_pred,) = packed(stage, MIXED[:1])
    assert torch.equal(noise_pred, alone(stage, MIXED[0]))


@pytest.mark.parametrize(
    "other",
    [
        replace(MIXED[1], timestep=500.0),
        replace(MIXED[1], guidance_scale=9.0),
        replace(MIXED[1], seed=9),
    ],
    ids=["timestep", "guidance", "prompt"],
)
def test_a_neighbour_changes_nothing_and_itself(stage: TransformerStage, other: Picture) -> None:
    before = packed(stage, (MIXED[0], MIXED[1], MIXED[2]))
    after = packed(stage, (MIXED[0], other, MIXED[2]))
    assert torch.equal(before[0], after[0])
    assert torch.equal(before[2], after[2])
    assert not torch.allclose(before[1], after[1], atol=1e-2)


def test_pictures_can_be_dropped_between_two_blocks(stage: TransformerStage) -> None:
    kept = packed(stage, MIXED, dropped=frozenset({0, 2}))
    for noise_pred, picture in zip(kept, (MIXED[1], MIXED[3]), strict=True):
        atol = 1e-6 if stage.dtype == torch.float32 else 0
        torch.testing.assert_close(noise_pred, alone(stage, picture), atol=atol, rtol=0)


def test_a_model_without_guidance(coarse_flux_directory: Path) -> None:
    stage = TransformerStage.load(coarse_flux_directory, torch.float32, torch.device("cpu"))
    pictures = tuple(replace(one, canvas=Size(128, 64)) for one in MIXED[:2])
    for picture, noise_pred in zip(pictures, packed(stage, pictures), strict=True):
        torch.testing.assert_close(noise_pred, alone(stage, picture), atol=1e-6, rtol=0)
