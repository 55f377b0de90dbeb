"""Every plain sentence describes exactly one scene, and any other text describes none."""

import random

import pytest

from serve_app.tiny_flux.language import (
    COLORS,
    HELD_OUT_SHARE,
    Scene,
    all_scenes,
    caption,
    is_held_out,
    parse_caption,
)


def test_a_caption_is_read_back_as_its_scene() -> None:
    rng = random.Random(0)
    for scene in all_scenes():
        for _ in range(3):
            sentence = caption(scene, rng)
            assert parse_caption(sentence) == scene, sentence


@pytest.mark.parametrize(
    ("sentence", "scene"),
    [
        ("a large red circle on a blue background", Scene("blue", "red", "circle", "large")),
        ("a red circle on a blue background", Scene("blue", "red", "circle")),
        ("An orange cross on black.", Scene("black", "orange", "cross")),
        (
            "a tiny white square at the top against a purple background",
            Scene("purple", "white", "square", "small", "top"),
        ),
    ],
)
def test_plain_sentences(sentence: str, scene: Scene) -> None:
    assert parse_caption(sentence) == scene


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a lighthouse at dusk",
        "a red circle",
        "a red circle on a red background",
        "a red circle on a blue background, 4k",
        "赤い円",
    ],
)
def test_other_text_is_no_scene(text: str) -> None:
    assert parse_caption(text) is None


def test_a_few_combinations_of_every_colour_are_held_out() -> None:
    held_out = [scene for scene in all_scenes() if is_held_out(scene)]
    share = len(held_out) / len(all_scenes())
    assert HELD_OUT_SHARE / 2 < share < HELD_OUT_SHARE * 2
    assert {scene.color for scene in held_out} == set(COLORS)
    assert {scene.background for scene in held_out} == set(COLORS)
