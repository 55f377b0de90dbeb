"""How the size fields may be written."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.api.values.size_grammar import (
    AspectRatio,
    ImageSize,
    Megapixels,
    PixelsOrRatio,
    Resolution,
)
from serve_app.errors import InvalidRequestError
from serve_app.messages import Size

SIZE, RATIO, TIER = PixelsOrRatio(2048), AspectRatio(), Resolution()


@given(
    st.integers(1, 2048),
    st.integers(1, 2048),
    st.sampled_from("xX×*"),  # noqa: RUF001 - the sign itself
    st.sampled_from(["", " ", "\t"]),
)
def test_pixels(width: int, height: int, sign: str, blank: str) -> None:
    text = f"{blank}{width}{blank}{sign}{blank}{height}{blank}"
    assert SIZE.read("size", text) == Size(width, height)


@given(st.integers(1, 99), st.integers(1, 99))
def test_a_colon_makes_a_shape(width: int, height: int) -> None:
    expected = Fraction(width, height)
    assert SIZE.read("size", f"{width}:{height}") == expected
    assert RATIO.read("aspect_ratio", f" {width} : {height} ") == expected


def test_decimals_are_exact() -> None:
    assert RATIO.read("aspect_ratio", "2.39:1") == Fraction(239, 100)


@pytest.mark.parametrize("word", ["auto", "AUTO", " auto "])
def test_auto_is_not_given(word: str) -> None:
    assert SIZE.read("size", word) is None
    assert RATIO.read("aspect_ratio", word) is None
    assert TIER.read("resolution", word) is None
    assert RATIO.read("aspect_ratio", "match_input_image") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1024",
        "x1024",
        "1024x",
        "1024x1024x3",
        "1024.0x1024",
        "-5x5",
        "1e3x1e3",
        "0x0",
        "2049x1",
        "1x14143",
        "9" * 5000 + "x1",
        "\uff11\uff10x\uff11\uff10",
        "\u0661x\u0662",
        "1024 by 1024",
        "1024x1024\n",
        "1024x1024\n1",
        "16/9",
        "0:1",
        "1:0",
    ],
)
def test_other_sizes_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        SIZE.read("size", text)
    assert refused.value.param == "size"
    assert len(refused.value.message) < 300


@pytest.mark.parametrize("text", ["16x9", "16/9", "wide", "1:1:1", ":", "1:", "-1:1", "1e2:1", ""])
def test_other_shapes_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequestError):
        RATIO.read("aspect_ratio", text)


@pytest.mark.parametrize(
    ("value", "tier"), [("1K", 1), (" 0.5k ", 0.5), ("2MP", 2), ("720p", 720), (4, 4), (0.25, 0.25)]
)
def test_resolutions(value: object, tier: float) -> None:
    assert TIER.read("resolution", value) == Fraction(tier)


@pytest.mark.parametrize("value", ["big", "0K", "0", 0, -1, "1024x1024", "", "K", True, ["1K"]])
def test_other_resolutions_are_refused(value: object) -> None:
    with pytest.raises(InvalidRequestError):
        TIER.read("resolution", value)


@pytest.mark.parametrize(("value", "side"), [("0.25", 512), (0.25, 512), ("1", 1024), (1.0, 1024)])
def test_megapixels(value: object, side: int) -> None:
    assert Megapixels().read("megapixels", value) == side


@pytest.mark.parametrize("value", ["0.5", 2, "1.5", "", True, {}])
def test_other_megapixels_are_refused(value: object) -> None:
    with pytest.raises(InvalidRequestError):
        Megapixels().read("megapixels", value)


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ("square_hd", Size(1024, 1024)),
        ("portrait_16_9", Size(576, 1024)),
        ({"width": 640, "height": 480}, Size(640, 480)),
        ({"width": 640, "height": None}, Size(640, 512)),
        ({}, Size(512, 512)),
    ],
)
def test_image_sizes(value: object, size: Size) -> None:
    assert ImageSize(2048).read("image_size", value) == size
