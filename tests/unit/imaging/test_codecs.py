"""Pixels to files, and back by an independent door."""

from typing import get_args

import numpy as np
import pytest
from PIL import Image, ImageFilter

from serve_app.imaging.codecs import encode
from serve_app.imaging.metadata import Origin
from serve_app.messages import OutputFormat
from tests.unit.imaging.samples import (
    gradient,
    opened,
    photograph,
    pixels_of,
    poster,
    random_picture,
)

FORMATS: tuple[OutputFormat, ...] = get_args(OutputFormat)
LOSSY: list[OutputFormat] = ["jpeg", "webp", "avif"]

PHOTOGRAPH = photograph(160, 120)


def mean_error(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(int) - b).mean())


def from_afar(picture: np.ndarray) -> np.ndarray:
    """Return a picture as an eye mixes its dots."""
    return np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(3)))


@pytest.mark.parametrize("output_format", FORMATS)
def test_the_file_has_the_format_and_the_size(output_format: OutputFormat) -> None:
    image = opened(encode(PHOTOGRAPH, output_format, 100))
    assert (image.format or "").lower() == output_format
    assert image.size == (160, 120)
    assert image.mode == ("P" if output_format == "gif" else "RGB")
    assert not getattr(image, "is_animated", False)


@pytest.mark.parametrize("size", [(1, 1), (1, 33), (37, 1), (17, 65)])
@pytest.mark.parametrize("output_format", FORMATS)
def test_the_smallest_sizes(output_format: OutputFormat, size: tuple[int, int]) -> None:
    assert opened(encode(random_picture(*size), output_format, 50)).size == size


def test_png_is_lossless() -> None:
    assert np.array_equal(pixels_of(encode(PHOTOGRAPH, "png", 0)), PHOTOGRAPH)


@pytest.mark.parametrize("output_format", FORMATS)
def test_a_cut_out_view_is_encoded_like_its_copy(output_format: OutputFormat) -> None:
    view = PHOTOGRAPH[3:50, 7:90]
    assert encode(view, output_format, 100) == encode(view.copy(), output_format, 100)


@pytest.mark.parametrize("output_format", LOSSY)
def test_quality_buys_likeness_for_bytes(output_format: OutputFormat) -> None:
    files = [encode(PHOTOGRAPH, output_format, quality) for quality in (0, 50, 100)]
    assert len(files[0]) < len(files[1]) < len(files[2])
    errors = [mean_error(pixels_of(file), PHOTOGRAPH) for file in files]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 2


@pytest.mark.parametrize("output_format", ["png", "gif"])
def test_quality_is_nothing_to_the_others(output_format: OutputFormat) -> None:
    assert encode(PHOTOGRAPH, output_format, 0) == encode(PHOTOGRAPH, output_format, 100)


@pytest.mark.parametrize("output_format", ["jpeg", "avif"])
def test_a_good_file_keeps_its_colour_edges(output_format: OutputFormat) -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = (255, 0, 0)
    stripes[:, 1::2] = (0, 0, 255)
    assert mean_error(pixels_of(encode(stripes, output_format, 90)), stripes) < 3
    assert mean_error(pixels_of(encode(stripes, output_format, 89)), stripes) > 30


@pytest.mark.parametrize("output_format", FORMATS)
def test_equal_arguments_give_equal_bytes(output_format: OutputFormat) -> None:
    first, second = (
        encode(PHOTOGRAPH.copy(), output_format, 80, Origin("model", 3)) for _ in range(2)
    )
    assert first == second
    assert first != encode(PHOTOGRAPH, output_format, 80, Origin("model", 4))


@pytest.mark.parametrize("picture", [gradient(200, 200), photograph(200, 200)])
def test_a_gif_is_dithered(picture: np.ndarray) -> None:
    dithered = pixels_of(encode(picture, "gif", 100))
    assert len(Image.fromarray(dithered).getcolors() or []) <= 256
    palette = Image.fromarray(picture).quantize(256, dither=Image.Dither.NONE)
    undithered = np.asarray(palette.convert("RGB"))
    error, undithered_error = (
        mean_error(from_afar(each), from_afar(picture)) for each in (dithered, undithered)
    )
    assert error < 1
    assert error < undithered_error / 2


@pytest.mark.parametrize(
    "picture",
    [
        poster(60, 50),
        # So near to each other that a dithering encoder takes one for the other.
        np.where(poster(60, 50) > 100, 11, 10).astype(np.uint8),
        random_picture(256, 1)[0][np.random.default_rng(1).integers(0, 256, (40, 50))],
    ],
    ids=["two colours", "two near colours", "256 colours"],
)
def test_a_gif_of_few_colours_is_exact(picture: np.ndarray) -> None:
    assert np.array_equal(pixels_of(encode(picture, "gif", 100)), picture)


def test_a_gif_of_many_colours_is_not() -> None:
    assert not np.array_equal(pixels_of(encode(PHOTOGRAPH, "gif", 100)), PHOTOGRAPH)
