"""What is small and slow is seen before a decoder starts on it; what is large and honest is not."""

import re

import numpy as np
import pytest
from PIL import Image

from serve_app.api.input_images import structure as image_structure
from serve_app.api.input_images.structure import is_slow_jpeg, is_slow_png
from tests.unit.api.image_samples import chunk, jpeg_with, noise, samples, saved

EMPTY_SEGMENT = b"\xff\xfe\x00\x02"


def progressive_with(num_scans: int) -> bytes:
    """Return a progressive JPEG that paints one of its scans again until it has so many."""
    jpeg = saved(noise(), "JPEG", progressive=True)
    starts = [found.start() for found in re.finditer(rb"\xff\xda", jpeg)]
    scan = jpeg[starts[-1] : jpeg.rindex(b"\xff\xd9")]
    return jpeg[: starts[-1]] + scan * (num_scans - len(starts) + 1) + b"\xff\xd9"


@pytest.mark.parametrize("name", [name for name in samples() if "png" in name])
def test_an_ordinary_png_is_not_slow(name: str) -> None:
    assert not is_slow_png(samples()[name])


@pytest.mark.parametrize("name", [name for name in samples() if "jpeg" in name])
def test_an_ordinary_jpeg_is_not_slow(name: str) -> None:
    assert not is_slow_jpeg(samples()[name])


def test_chunks_are_counted_up_to_the_end_of_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_structure, "MAX_PNG_CHUNKS", 10)
    png = saved(noise(), "PNG")
    empty = chunk(b"abCd", b"")
    assert not is_slow_png(png[:33] + empty * 7 + png[33:])
    assert is_slow_png(png[:33] + empty * 10 + png[33:])
    assert not is_slow_png(png + empty * 10)


def test_a_png_of_endless_chunks_is_slow() -> None:
    png = saved(noise(), "PNG")
    assert is_slow_png(png[:33] + chunk(b"abCd", b"") * 50_000 + png[33:])


@pytest.mark.parametrize("length", [b"\xff\xff\xff\xff", b"\0\0\0\0"])
def test_broken_chunk_lengths_end_the_count(length: bytes) -> None:
    assert not is_slow_png(saved(noise(), "PNG")[:33] + length)


def test_a_hundred_scans_are_enough() -> None:
    assert not is_slow_jpeg(progressive_with(100))
    assert is_slow_jpeg(progressive_with(101))


@pytest.mark.parametrize("marker", [0xC0, 0xC4, 0xDB, 0xDD, 0xE1, 0xEF, 0xFE])
def test_scans_inside_a_segment_are_data(marker: int) -> None:
    thumbnails = b"\xff\xda\x00\x02" * 200
    length = (len(thumbnails) + 2).to_bytes(2)
    assert not is_slow_jpeg(jpeg_with(b"\xff" + bytes([marker]) + length + thumbnails))


@pytest.mark.parametrize("marker", [0x01, 0xC8, 0xD8, 0xD9, 0xF0])
def test_a_marker_without_a_length_hides_nothing(marker: int) -> None:
    scans = b"\xff\xda\x00\x02" * 200
    length = (len(scans) + 2).to_bytes(2)
    assert is_slow_jpeg(jpeg_with(b"\xff" + bytes([marker]) + length + scans))


def test_what_follows_the_picture_is_not_counted() -> None:
    film = b"\xff\xda\x00\x02" * 200
    assert not is_slow_jpeg(saved(noise(), "JPEG") + film)


def test_endless_segments_are_slow() -> None:
    assert not is_slow_jpeg(jpeg_with(EMPTY_SEGMENT * 9_000))
    assert is_slow_jpeg(jpeg_with(EMPTY_SEGMENT * 10_000))


@pytest.mark.parametrize("filler", [b"\xff", b"\x00"])
def test_endless_padding_is_slow(filler: bytes) -> None:
    assert not is_slow_jpeg(jpeg_with(filler * 65_000))
    assert is_slow_jpeg(jpeg_with(filler * 66_000))


def test_pixels_are_not_padding() -> None:
    coarse = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
    jpeg = saved(Image.fromarray(coarse), "JPEG", quality=100, progressive=True)
    assert len(jpeg) > 2 * image_structure.MAX_JPEG_PADDING_BYTES
    assert not is_slow_jpeg(jpeg)


def test_a_jpeg_that_stops_anywhere_is_looked_at_to_its_end() -> None:
    jpeg = saved(noise(), "JPEG", progressive=True)
    assert not any(is_slow_jpeg(jpeg[:length]) for length in range(2, len(jpeg)))
