"""Pixels to files, and back by an independent door."""

import io

import numpy as np
import pytest
from PIL import Image

from serve_app.imaging.codecs import encode
from serve_app.messages import OutputFormat

FORMATS: list[OutputFormat] = ["png", "jpeg", "webp"]


@pytest.fixture
def picture() -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    return np.asarray(Image.fromarray(noise).resize((160, 120), Image.Resampling.BICUBIC))


def opened(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


@pytest.mark.parametrize("output_format", FORMATS)
def test_the_file_has_the_format_and_the_size(
    picture: np.ndarray, output_format: OutputFormat
) -> None:
    image = opened(encode(picture, output_format, 100))
    assert (image.format or "").lower() == output_format
    assert (image.size, image.mode) == ((160, 120), "RGB")


def test_png_is_lossless(picture: np.ndarray) -> None:
    assert np.array_equal(np.asarray(opened(encode(picture, "png", 0))), picture)


def test_a_cut_out_view_is_encoded_like_its_copy(picture: np.ndarray) -> None:
    view = picture[3:50, 7:90]
    assert encode(view, "png", 100) == encode(view.copy(), "png", 100)


@pytest.mark.parametrize("output_format", ["jpeg", "webp"])
def test_quality_buys_likeness_for_bytes(picture: np.ndarray, output_format: OutputFormat) -> None:
    files = [encode(picture, output_format, quality) for quality in (0, 50, 100)]
    assert len(files[0]) < len(files[1]) < len(files[2])
    errors = [
        np.abs(np.asarray(opened(file)).astype(int) - picture.astype(int)).mean() for file in files
    ]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 2


def test_a_good_jpeg_keeps_its_colour_edges() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = (255, 0, 0)
    stripes[:, 1::2] = (0, 0, 255)
    kept = np.asarray(opened(encode(stripes, "jpeg", 100))).astype(int)
    assert np.abs(kept - stripes).mean() < 3


@pytest.mark.parametrize("output_format", FORMATS)
def test_the_same_pixels_give_the_same_bytes(
    picture: np.ndarray, output_format: OutputFormat
) -> None:
    assert encode(picture, output_format, 80) == encode(picture.copy(), output_format, 80)
