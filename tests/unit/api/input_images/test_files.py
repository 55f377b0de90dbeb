"""Which files are opened, how far, and that none of the others does more than be refused."""

import io
import struct
import time
import warnings
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from serve_app.api.input_images import files as image_files
from serve_app.api.input_images.files import open_image
from serve_app.errors import InvalidRequestError
from tests.unit.api.image_samples import (
    GREY,
    RGB,
    chunk,
    corners,
    jpeg_with,
    noise,
    oriented,
    png,
    samples,
    saved,
)

SAMPLES = sorted(samples())
SOF0 = b"\xff\xc0\x00\x11\x08"


def refusal(content: bytes, field: str = "image") -> str:
    """Return why a file is refused, which must not take a second."""
    started_at = time.process_time()
    with pytest.raises(InvalidRequestError) as refused:
        open_image(field, content)
    assert time.process_time() - started_at < 1
    assert refused.value.param == field
    assert refused.value.message.startswith(f"Invalid image file provided for '{field}': ")
    return refused.value.message


def huge_jpeg() -> bytes:
    """Return a JPEG that claims 65535 pixels each way."""
    jpeg = saved(noise(), "JPEG")
    start = jpeg.index(SOF0) + len(SOF0)
    return jpeg[:start] + b"\xff\xff\xff\xff" + jpeg[start + 4 :]


def huge_webp(width: int, height: int) -> bytes:
    """Return an animated WebP with a large canvas and a small frame."""
    webp = bytearray(samples()["webp-animated"])
    start = webp.index(b"VP8X") + 12
    webp[start : start + 6] = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return bytes(webp)


def compressed_bomb(kind: bytes, prefix: bytes) -> bytes:
    zeros = zlib.compress(bytes(20 * 1024 * 1024), 9)
    return png(1, 1, 8, GREY, b"\0\0", chunk(kind, prefix + zeros))


OTHER_FILES = {
    "text": b"hello",
    "gif": saved(noise().convert("P"), "GIF"),
    "bmp": saved(noise(), "BMP"),
    "tiff": saved(noise(), "TIFF"),
    "ico": saved(noise(), "ICO"),
    "avif": saved(noise(), "AVIF"),
    "jpeg 2000": saved(noise(), "JPEG2000"),
    "pdf": saved(noise(), "PDF"),
    "eps": saved(noise(), "EPS"),
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
    "html": b"<!doctype html><script>alert(1)</script>",
    "psd": b"8BPS\0\1" + bytes(64),
    "fits": b"SIMPLE  =                    T" + bytes(2880),
    "wav": b"RIFF\x24\0\0\0WAVEfmt " + bytes(28),
    "one byte": b"\xff",
    "blank before a png": b" " + saved(noise(), "PNG"),
    "zip": b"PK\3\4" + bytes(64),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_every_kind_is_opened(name: str) -> None:
    image = open_image("image", samples()[name])
    assert sorted(image.size) == [32, 48] or name == "png-16bit"


@pytest.mark.parametrize("content", OTHER_FILES.values(), ids=OTHER_FILES.keys())
def test_other_kinds_are_refused_for_what_they_are(content: bytes) -> None:
    assert "not a PNG, JPEG or WebP" in refusal(content)


def test_an_empty_file_is_refused_under_the_name_of_its_field() -> None:
    assert "empty" in refusal(b"", "mask")


@pytest.mark.parametrize(
    "content",
    [
        b"\x89PNG\r\n\x1a\n",
        b"\x89PNG\r\n\x1a\n" + bytes(1000),
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xd9" + bytes(1000),
        b"RIFF\x04\0\0\0WEBP",
        b"RIFF\x04\0\0\0WEBPVP8 " + bytes(1000),
        png(0, 1, 8, RGB, b""),
        png(1, 1, 3, RGB, b"\0\0\0\0"),
        png(2, 2, 8, RGB, b"\0"),
    ],
)
def test_a_good_beginning_alone_is_refused(content: bytes) -> None:
    assert "damaged" in refusal(content)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_truncated_file_is_refused_or_has_lost_no_pixel(name: str) -> None:
    content = samples()[name]
    whole = np.asarray(open_image("image", content))
    num_refused = 0
    for length in range(0, len(content), max(1, len(content) // 60)):
        try:
            image = open_image("image", content[:length])
        except InvalidRequestError:
            num_refused += 1
        else:
            assert np.array_equal(np.asarray(image), whole)
    assert num_refused > 20


@pytest.mark.parametrize(
    "content",
    [
        png(13_000, 13_000, 1, GREY, bytes(1000)),
        png(65_535, 65_535, 8, RGB, b"\0"),
        png(2**31 - 1, 2**31 - 1, 16, RGB, b"\0"),
        png(8_001, 8_000, 8, RGB, b"\0"),
        huge_jpeg(),
        huge_webp(8_001, 8_000),
        huge_webp(2**24, 2**24),
    ],
)
def test_a_large_picture_is_refused_by_its_header(content: bytes) -> None:
    assert "more than 64 megapixels" in refusal(content)


def test_the_limit_itself_is_allowed() -> None:
    rows = bytes(8000 * 1001)
    assert image_files.MAX_PIXELS == 8000 * 8000
    image = open_image("image", png(8000, 8000, 1, GREY, rows))
    assert image.size == (8000, 8000)


@pytest.mark.parametrize(
    "content",
    [
        compressed_bomb(b"zTXt", b"Comment\0\0"),
        compressed_bomb(b"iTXt", b"Comment\0\1\0\0\0"),
        compressed_bomb(b"iCCP", b"profile\0\0"),
    ],
)
def test_compressed_text_that_swells_is_refused(content: bytes) -> None:
    assert "damaged" in refusal(content)


@pytest.mark.parametrize(
    "content",
    [
        png(1, 1, 8, GREY, b"\0\0", chunk(b"abCd", b"") * 50_000),
        jpeg_with(b"\xff" * 66_000),
        jpeg_with(b"\xff\xda\x00\x02" * 101),
    ],
)
def test_endless_pieces_are_refused(content: bytes) -> None:
    assert "too many pieces" in refusal(content)


@pytest.mark.parametrize("name", ["apng", "webp-animated"])
def test_of_an_animation_the_first_frame_is_taken(name: str) -> None:
    image = open_image("image", samples()[name])
    still = np.asarray(noise()).astype(int)
    assert np.abs(np.asarray(image.convert("RGB")).astype(int) - still).mean() < 4


def test_thousands_of_frames_cost_no_more_than_one() -> None:
    frames = [Image.new("L", (2, 2), level % 256) for level in range(3000)]
    content = saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    started_at = time.process_time()
    open_image("image", content)
    assert time.process_time() - started_at < 0.2


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_the_camera_was_held(file_format: str, orientation: int) -> None:
    seen = {1: "rgbw", 2: "grwb", 3: "wbgr", 4: "bwrg", 5: "rbgw", 6: "brwg", 7: "wgbr", 8: "gwrb"}
    content = saved(corners(), file_format, exif=oriented(orientation), quality=95)
    image = open_image("image", content).convert("RGB")
    assert image.size == ((48, 32) if orientation < 5 else (32, 48))
    width, height = image.size
    places = [(4, 4), (width - 5, 4), (4, height - 5), (width - 5, height - 5)]
    colours = {"r": (255, 0, 0), "g": (0, 255, 0), "b": (0, 0, 255), "w": (255, 255, 255)}
    for place, colour in zip(places, seen[orientation], strict=True):
        shown = np.asarray(image)[place[1], place[0]].astype(int)
        assert np.abs(shown - colours[colour]).max() < 30


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0",
        b"Exif\0\0junk",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0MM\0*\0\0\0\x08" + b"\xff" * 64,
        b"Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\2\0\6\0\0\0junk",
        b"Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\x63\0\0\0\0\0\0\0",
    ],
)
def test_broken_exif_data_turn_nothing(exif: bytes) -> None:
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    image = open_image("image", jpeg_with(segment, saved(corners(), "JPEG", quality=95)))
    assert np.abs(np.asarray(image).astype(int) - np.asarray(corners())).mean() < 5


def test_pillows_warnings_stay_inside() -> None:
    content = png(1, 1, 8, GREY, b"\0\0", chunk(b"acTL", bytes(8)))
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        open_image("image", content)
        assert seen == []
        Image.open(io.BytesIO(content))
        assert len(seen) == 1, "there is no warning to keep inside"


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(SAMPLES),
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 255)), min_size=1, max_size=6),
    st.integers(0, 1) | st.integers(0, 10**6),
)
def test_flipped_bits_give_a_picture_or_a_refusal(
    name: str, flips: list[tuple[int, int]], num_cut_bytes: int
) -> None:
    content = bytearray(samples()[name])
    for place, bits in flips:
        content[place % len(content)] ^= bits
    del content[len(content) - num_cut_bytes % len(content) :]
    with pytest.MonkeyPatch.context() as patch, suppress(InvalidRequestError):
        patch.setattr(image_files, "MAX_PIXELS", 10**6)  # a fuzzed canvas can be vast
        image = open_image("image", bytes(content))
        assert 0 < image.width * image.height <= 10**6


@given(
    st.sampled_from([b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\x20\0\0\0WEBP", b""]),
    st.binary(),
)
def test_arbitrary_bytes_are_refused(beginning: bytes, content: bytes) -> None:
    with pytest.raises(InvalidRequestError):
        open_image("image", beginning + content)
