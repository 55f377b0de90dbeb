"""What is drawn is where, how large and which colour the scene says."""

import random

import numpy as np
import pytest

from serve_app.tiny_flux.language import COLORS, SHAPE_WORDS, Scene, all_scenes
from serve_app.tiny_flux.pictures import (
    COLOR_JITTER,
    RADIUS,
    Drawing,
    Window,
    draw,
    lay_out,
    place,
    render,
)

SCENE = Scene("blue", "red", "circle", "large", "left")


@pytest.mark.parametrize("size", [(256, 256), (1600, 704), (300, 517)])
def test_a_picture_has_the_size_asked_for(size: tuple[int, int]) -> None:
    picture = draw(SCENE, *size, random.Random(0))
    assert picture.shape == (size[1], size[0], 3)
    assert picture.dtype == np.uint8


def test_corners_are_background_and_the_middle_of_the_shape_is_its_colour() -> None:
    rng = random.Random(1)
    for scene in rng.sample(all_scenes(), 60):
        picture = draw(scene, 512, 384, rng).astype(float)
        x, y = place(scene, 512, 384)
        assert np.abs(picture[0, 0] - COLORS[scene.background]).max() <= COLOR_JITTER + 1
        middle = picture[int(y * 384), int(x * 512)]
        assert np.abs(middle - COLORS[scene.color]).max() <= COLOR_JITTER + 1


@pytest.mark.parametrize("shape", SHAPE_WORDS)
def test_a_shape_keeps_its_proportions_on_a_wide_canvas(shape: str) -> None:
    drawing = Drawing(shape, (0.5, 0.5), 0.3, (255, 255, 255), (0, 0, 0))
    square = render(drawing, 300, 300)[..., 0] > 127
    wide = render(drawing, 900, 300)[..., 0] > 127
    assert np.array_equal(wide[:, 300:600], square)
    assert not wide[:, :300].any()


def test_no_shape_touches_the_border() -> None:
    rng = random.Random(2)
    for scene in all_scenes()[::7]:
        drawing = lay_out(scene, 256, 256, rng)
        reach = drawing.radius
        assert reach < drawing.center[0] < 1 - reach
        assert reach < drawing.center[1] < 1 - reach


def test_sizes_are_told_apart() -> None:
    areas = [
        (render(Drawing("circle", (0.5, 0.5), RADIUS[size], (255,) * 3, (0,) * 3), 256, 256) > 127)
        .mean()
        .item()
        for size in ("small", "medium", "large")
    ]
    assert areas[0] * 2 < areas[1]
    assert areas[1] * 1.8 < areas[2]


def test_a_window_is_a_crop() -> None:
    drawing = lay_out(SCENE, 320, 256, random.Random(3))
    window = Window(left=40, top=30, width=100, height=90)
    whole = render(drawing, 320, 256)
    assert np.array_equal(render(drawing, 320, 256, window), whole[30:120, 40:140])


def test_seeds_differ_a_little() -> None:
    one, same, other = (draw(SCENE, 256, 256, random.Random(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
