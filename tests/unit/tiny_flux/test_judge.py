"""The judge says yes to every right picture, and no to each kind of wrong one."""

import dataclasses
import random

import numpy as np
import pytest
from PIL import Image, ImageFilter

from serve_app.tiny_flux.judge import Verdict, judge
from serve_app.tiny_flux.language import Scene, all_scenes
from serve_app.tiny_flux.pictures import draw

SIZES = [(256, 256), (512, 512), (1024, 1024), (1365, 768), (768, 1365), (1563, 670)]
RIGHT = Verdict(background=True, color=True, shape=True, position=True)
SCENE = Scene("blue", "red", "circle", "medium", "left")


@pytest.mark.parametrize("size", SIZES)
def test_right_pictures(size: tuple[int, int]) -> None:
    rng = random.Random(0)
    scenes = rng.sample(all_scenes(), 60)
    wrong = [scene for scene in scenes if judge(draw(scene, *size, rng), scene) != RIGHT]
    assert wrong == []


def test_soft_and_noisy_pictures_are_still_right() -> None:
    rng, noise = random.Random(1), np.random.default_rng(1)
    for scene in rng.sample(all_scenes(), 60):
        soft = Image.fromarray(draw(scene, 512, 512, rng)).filter(ImageFilter.GaussianBlur(5))
        noisy = np.asarray(soft) + noise.normal(0, 10, (512, 512, 3))
        assert judge(noisy.clip(0, 255).astype(np.uint8), scene) == RIGHT


@pytest.mark.parametrize(
    ("attribute", "value", "verdict"),
    [
        ("background", "green", dataclasses.replace(RIGHT, background=False)),
        ("color", "yellow", dataclasses.replace(RIGHT, color=False)),
        ("shape", "square", dataclasses.replace(RIGHT, shape=False)),
        ("shape", "triangle", dataclasses.replace(RIGHT, shape=False)),
        ("shape", "cross", dataclasses.replace(RIGHT, shape=False)),
        ("position", "right", dataclasses.replace(RIGHT, position=False)),
        ("position", "center", dataclasses.replace(RIGHT, position=False)),
    ],
)
@pytest.mark.parametrize("size", [(256, 256), (1600, 704)])
def test_one_wrong_attribute_is_found_and_named(
    size: tuple[int, int], attribute: str, value: str, verdict: Verdict
) -> None:
    drawn = dataclasses.replace(SCENE, **{attribute: value})
    assert judge(draw(drawn, *size, random.Random(2)), SCENE) == verdict


def test_an_empty_picture_shows_no_shape() -> None:
    blue = np.full((256, 256, 3), (40, 80, 215), dtype=np.uint8)
    assert judge(blue, SCENE) == Verdict(background=True, color=False, shape=False, position=False)


def test_noise_is_nothing() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    verdicts = [judge(noise, scene) for scene in all_scenes()[::50]]
    assert not any(verdict.is_right for verdict in verdicts)
