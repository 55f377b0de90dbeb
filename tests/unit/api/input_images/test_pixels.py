"""Pixels come out right from every mode a file can have, and masks mean what their clients mean."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from serve_app.api.input_images.pixels import read_image, read_mask
from serve_app.errors import InvalidRequestError
from serve_app.messages import Size
from tests.unit.api.image_samples import (
    GREY,
    PALETTE,
    RGB,
    chunk,
    corners,
    noise,
    oriented,
    png,
    samples,
    saved,
)

SIZE = Size(48, 32)


def pixels(content: bytes) -> list[list[int]]:
    """Return the pixels of a file that has one row."""
    rows: list[list[list[int]]] = read_image("image", content).tolist()
    (row,) = rows
    return row


def big_endian(*values: int) -> bytes:
    return b"\0" + struct.pack(f">{len(values)}H", *values)


def painted(*, alpha: bool, level: int = 255) -> Image.Image:
    """Return a mask whose left half is to be edited, by its alpha or by its whiteness."""
    left = np.zeros((SIZE.height, SIZE.width), np.uint8)
    left[:, : SIZE.width // 2] = level
    if not alpha:
        return Image.fromarray(left)
    mask = noise(SIZE.width, SIZE.height)
    mask.putalpha(Image.fromarray(255 - left))
    return mask


@pytest.mark.parametrize("name", sorted(samples()))
def test_every_sample_becomes_rgb(name: str) -> None:
    picture = read_image("image", samples()[name])
    assert picture.dtype == np.uint8
    assert picture.shape[2:] == (3,)
    assert picture.flags.writeable


@pytest.mark.parametrize("file_format", ["PNG", "WEBP"])
def test_lossless_files_keep_every_pixel(file_format: str) -> None:
    content = saved(noise(), file_format, lossless=True)
    assert np.array_equal(read_image("image", content), np.asarray(noise()))


@pytest.mark.parametrize("mode", ["RGB", "CMYK", "YCbCr"])
def test_a_jpeg_has_its_colours_in_any_colour_space(mode: str) -> None:
    picture = read_image("image", saved(corners().convert(mode), "JPEG", quality=100))
    difference = np.abs(picture.astype(int) - np.asarray(corners()))
    assert np.median(difference) <= 3


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (png(3, 1, 8, GREY, b"\0\x00\x80\xff"), [[0] * 3, [128] * 3, [255] * 3]),
        (png(3, 1, 1, GREY, b"\0\x40"), [[0] * 3, [255] * 3, [0] * 3]),
        (png(3, 1, 16, GREY, big_endian(0, 0x80FF, 0xFFFF)), [[0] * 3, [128] * 3, [255] * 3]),
        (png(1, 1, 16, RGB, big_endian(0x1122, 0x3344, 0xFFFF)), [[0x11, 0x33, 0xFF]]),
        (
            png(2, 1, 8, PALETTE, b"\0\1\0", chunk(b"PLTE", bytes(range(6)))),
            [[3, 4, 5], [0, 1, 2]],
        ),
    ],
)
def test_grey_deep_and_indexed_pixels(content: bytes, expected: list[list[int]]) -> None:
    assert pixels(content) == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (saved(Image.new("RGBA", (1, 1), (9, 9, 9, 0)), "PNG"), [[255] * 3]),
        (saved(Image.new("RGBA", (1, 1), (9, 9, 9, 255)), "PNG"), [[9] * 3]),
        (saved(Image.new("RGBA", (1, 1), (0, 0, 0, 51)), "PNG"), [[204] * 3]),
        (saved(Image.new("LA", (1, 1), (0, 51)), "PNG"), [[204] * 3]),
        (png(2, 1, 8, GREY, b"\0\7\x08", chunk(b"tRNS", b"\0\7")), [[255] * 3, [8] * 3]),
        (
            png(2, 1, 16, GREY, big_endian(0x0700, 0x0701), chunk(b"tRNS", b"\7\0")),
            [[255] * 3, [7] * 3],
        ),
        (
            png(2, 1, 8, RGB, b"\0\1\2\3\1\2\4", chunk(b"tRNS", b"\0\1\0\2\0\3")),
            [[255] * 3, [1, 2, 4]],
        ),
        (
            png(2, 1, 8, PALETTE, b"\0\0\1", chunk(b"PLTE", bytes(6)), chunk(b"tRNS", b"\x33\0")),
            [[204] * 3, [255] * 3],
        ),
    ],
)
def test_what_is_transparent_is_white(content: bytes, expected: list[list[int]]) -> None:
    assert pixels(content) == expected


@pytest.mark.parametrize("profile", [b"", b"junk", bytes(5000)])
def test_colour_profiles_change_nothing(profile: bytes) -> None:
    content = saved(noise(), "PNG", icc_profile=profile)
    assert np.array_equal(read_image("image", content), np.asarray(noise()))


def test_what_follows_a_picture_is_ignored() -> None:
    content = saved(noise(), "PNG") + b"PK\3\4<?php"
    assert np.array_equal(read_image("image", content), np.asarray(noise()))


@pytest.mark.parametrize("size", [(1, 1), (1, 20_000), (20_000, 1)])
def test_odd_sizes_are_read(size: tuple[int, int]) -> None:
    picture = read_image("image", saved(Image.new("RGB", size, "red"), "PNG"))
    assert picture.shape == (size[1], size[0], 3)


@pytest.mark.parametrize("file_format", ["PNG", "WEBP"])
@pytest.mark.parametrize("alpha", [True, False])
def test_the_transparent_or_else_the_white_part_is_edited(alpha: bool, file_format: str) -> None:
    mask = read_mask(saved(painted(alpha=alpha), file_format, lossless=True), SIZE)
    assert mask.dtype == np.uint8
    assert mask.shape == (32, 48)
    assert (mask[:, :24] == 255).all()
    assert (mask[:, 24:] == 0).all()


def test_a_jpeg_can_be_a_mask() -> None:
    mask = read_mask(saved(painted(alpha=False), "JPEG", quality=100), SIZE)
    assert (mask[:, :20] > 250).all()
    assert (mask[:, 28:] < 5).all()


@pytest.mark.parametrize("alpha", [True, False])
@pytest.mark.parametrize("level", [1, 100, 128, 254])
def test_a_half_painted_part_is_soft(alpha: bool, level: int) -> None:
    mask = read_mask(saved(painted(alpha=alpha, level=level), "PNG"), SIZE)
    assert set(np.unique(mask)) == {0, level}


def test_a_deep_mask_keeps_its_greys() -> None:
    mask = read_mask(png(3, 1, 16, GREY, big_endian(0, 0x80FF, 0xFFFF)), Size(3, 1))
    assert mask.tolist() == [[0, 128, 255]]


def test_a_mask_is_turned_as_its_camera_was_held() -> None:
    sideways = painted(alpha=False).transpose(Image.Transpose.ROTATE_90)
    turned = saved(sideways, "PNG", exif=oriented(6))
    assert np.array_equal(read_mask(turned, SIZE), np.asarray(painted(alpha=False)))


@pytest.mark.parametrize("size", [Size(47, 32), Size(48, 33), Size(32, 48), Size(96, 64)])
def test_a_mask_of_another_size_is_refused(size: Size) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        read_mask(saved(painted(alpha=True), "PNG"), size)
    assert refused.value.param == "mask"
    assert "'48x32'" in refused.value.message
    assert str(size) in refused.value.message


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (noise().convert("RGBA"), "alpha channel"),
        (Image.new("LA", (48, 32), (255, 255)), "alpha channel"),
        (Image.new("RGB", (48, 32)), "all black"),
        (Image.new("1", (48, 32)), "all black"),
        (painted(alpha=False, level=0), "all black"),
    ],
)
def test_a_mask_that_leaves_nothing_to_edit_is_refused(mask: Image.Image, words: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        read_mask(saved(mask, "PNG"), SIZE)
    assert refused.value.param == "mask"
    assert "'mask' leaves nothing to edit" in refused.value.message
    assert words in refused.value.message


def test_a_broken_mask_is_refused_in_its_own_name() -> None:
    with pytest.raises(InvalidRequestError, match="provided for 'mask'") as refused:
        read_mask(saved(painted(alpha=True), "PNG")[:-40], SIZE)
    assert refused.value.param == "mask"


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(sorted(samples())),
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 255)), max_size=3),
)
def test_flipped_bits_give_a_mask_or_a_refusal(name: str, flips: list[tuple[int, int]]) -> None:
    content = bytearray(samples()[name])
    for place, bits in flips:
        content[place % len(content)] ^= bits
    try:
        mask = read_mask(bytes(content), SIZE)
    except InvalidRequestError:
        return
    assert mask.shape == (32, 48)
