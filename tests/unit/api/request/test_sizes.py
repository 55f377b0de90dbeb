"""The size algorithm: the published table, and what holds for every size."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.api.request.sizes import (
    SUPPORTED_RATIOS,
    SizeFields,
    canvas_of,
    fit_within,
    nearest,
    output_size,
    size_of,
)
from serve_app.messages import Size

TABLE = {
    "9:21": "670x1564",
    "9:16": "768x1365",
    "2:3": "836x1254",
    "3:4": "887x1182",
    "4:5": "916x1145",
    "1:1": "1024x1024",
    "5:4": "1145x916",
    "4:3": "1183x887",
    "3:2": "1254x836",
    "16:9": "1365x768",
    "21:9": "1563x670",
}
CANVASES = {
    "1183x887": "1184x896",
    "670x1564": "672x1568",
    "1024x1024": "1024x1024",
    "64x48": "352x256",
    "1x1": "256x256",
    "2048x1": "2048x256",
    "257x255": "272x256",
}

sides = st.integers(1, 2048)
sizes = st.builds(Size, sides, sides)
multiples = st.sampled_from([8, 16, 32, 64])
ratios = st.builds(Fraction, st.integers(1, 10**6), st.integers(1, 10**6))


def ratio(text: str) -> Fraction:
    width, height = text.split(":")
    return Fraction(int(width), int(height))


def size(text: str) -> Size:
    width, height = text.split("x")
    return Size(int(width), int(height))


@pytest.mark.parametrize(("shape", "expected"), TABLE.items())
def test_the_published_table(shape: str, expected: str) -> None:
    assert str(output_size(SizeFields(aspect_ratio=ratio(shape)))) == expected


@pytest.mark.parametrize(("output", "canvas"), CANVASES.items())
def test_canvases_of_the_contract(output: str, canvas: str) -> None:
    assert canvas_of(size(output), 16) == size(canvas)


def test_a_model_with_larger_steps_has_larger_canvases() -> None:
    assert canvas_of(Size(1183, 887), 64) == Size(1216, 896)
    assert canvas_of(Size(256, 256), 64) == Size(256, 256)
    assert canvas_of(Size(64, 48), 64) == Size(384, 256)


@given(sizes, multiples)
def test_every_canvas_covers_its_output_on_the_model_s_grid(output: Size, multiple: int) -> None:
    canvas = canvas_of(output, multiple)
    assert canvas.width % multiple == canvas.height % multiple == 0
    assert canvas.width >= output.width
    assert canvas.height >= output.height
    assert min(canvas.width, canvas.height) >= 256
    assert max(canvas.width, canvas.height) <= 2048


@given(sizes.filter(lambda size: min(size.width, size.height) >= 256), multiples)
def test_cropping_loses_less_than_one_step(output: Size, multiple: int) -> None:
    canvas = canvas_of(output, multiple)
    assert canvas.width - output.width < multiple
    assert canvas.height - output.height < multiple


@given(ratios)
def test_the_nearest_shape_is_nearest_by_quotient(value: Fraction) -> None:
    def distance(other: Fraction) -> Fraction:
        return max(value / other, other / value)

    found = nearest(SUPPORTED_RATIOS, value)
    assert distance(found) == min(distance(other) for other in SUPPORTED_RATIOS)


@given(st.sampled_from(SUPPORTED_RATIOS), st.sampled_from([512, 1024]))
def test_the_area_of_a_shape_is_that_of_the_square(shape: Fraction, side: int) -> None:
    made = size_of(shape, side)
    assert abs(made.width * made.height - side * side) <= made.width + made.height


@given(st.builds(Size, st.integers(1, 14142), st.integers(1, 14142)))
def test_an_input_s_own_size_fits_the_model(image: Size) -> None:
    made = output_size(SizeFields(), image)
    assert min(made.width, made.height) >= 1
    assert max(made.width, made.height) == min(2048, max(image.width, image.height))


def test_ties_go_to_the_larger() -> None:
    assert nearest([Fraction(4), Fraction(9)], Fraction(6)) == 9
    assert nearest([Fraction(1, 4), Fraction(1)], Fraction(1, 2)) == 1
    assert nearest([Fraction(8), Fraction(4)], Fraction(7)) == 8


def test_log_distance_is_not_linear_distance() -> None:
    assert nearest(SUPPORTED_RATIOS, Fraction(18, 11)) == Fraction(16, 9)
    assert nearest(SUPPORTED_RATIOS, Fraction(41, 20)) == Fraction(21, 9)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (SizeFields(), "1024x1024"),
        (SizeFields(size=Size(640, 480), aspect_ratio=Fraction(1), megapixels=512), "640x480"),
        (SizeFields(size=Size(640, 480), image_size=Size(512, 512)), "640x480"),
        (SizeFields(size=Fraction(16, 9), image_size=Size(512, 512)), "1365x768"),
        (SizeFields(size=Fraction(16, 9), aspect_ratio=Fraction(1)), "1365x768"),
        (SizeFields(image_size=Size(512, 512), width=800, height=600), "512x512"),
        (SizeFields(width=800, height=600, aspect_ratio=Fraction(16, 9)), "800x600"),
        (SizeFields(resolution=Fraction(4), megapixels=512), "1024x1024"),
        (SizeFields(megapixels=512, aspect_ratio=Fraction(16, 9)), "683x384"),
    ],
)
def test_precedence(fields: SizeFields, expected: str) -> None:
    assert str(output_size(fields)) == expected


@pytest.mark.parametrize(
    ("fields", "image", "expected"),
    [
        (SizeFields(), "640x361", "640x361"),
        (SizeFields(), "10000x1000", "2048x205"),
        (SizeFields(resolution=Fraction(1)), "1600x900", "1365x768"),
        (SizeFields(aspect_ratio=Fraction(1)), "1600x900", "1024x1024"),
        (SizeFields(megapixels=512), "14142x1", "2048x1"),
    ],
)
def test_precedence_with_an_input_image(fields: SizeFields, image: str, expected: str) -> None:
    assert str(output_size(fields, size(image))) == expected


def test_fitting_never_enlarges() -> None:
    assert fit_within(Size(7, 5), 2048) == Size(7, 5)
    assert fit_within(Size(4032, 3024), 2048) == Size(2048, 1536)
