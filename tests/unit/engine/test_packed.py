"""A packed forward gives each picture what a forward of its own gives."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from serve_app.messages import Size
from serve_app.stages.transformer import TransformerStage
from tests.unit.engine.pictures import MIXED, Picture, alone, packed


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
