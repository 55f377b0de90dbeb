"""PNG files, written three times as fast as Pillow's fastest, and no larger.

Pillow tries five filters on each row of a picture before the system's zlib packs it. This takes
Paeth's filter for every row, in numpy's vector code, and zlib-ng's run lengths, which are as fast
on noise as on a flat wall; neither chooses by what processor it runs on.

One core, photographs of 1024x1024 (`python -m benchmarks.png`): 27-41 ms here; Pillow 86-105 ms for
the same size at level 1 with run lengths, 97-151 ms at level 1 alone, 158-725 ms at level 6; OpenCV
56-67 ms for up to a tenth more. ISA-L took 10 ms less, and a tenth to a third more for smooth ones.
"""

import struct
from collections.abc import Iterator, Mapping

import numpy as np
from zlib_ng import zlib_ng

SIGNATURE = b"\x89PNG\r\n\x1a\n"
BITS_PER_SAMPLE, RGB, NUM_CHANNELS = 8, 2, 3
PAETH_FILTER = 4
LEVEL, MEMORY_LEVEL = 1, 9

# A strip and what is computed from it stay in a core's cache.
STRIP_ROWS = 64


def encode_png(picture: np.ndarray, texts: Mapping[str, str]) -> bytes:
    """Return the PNG file of a picture.

    Args:
        picture: (height, width, 3) uint8, RGB.
        texts: Keywords of the PNG specification, and what they say.
    """
    height, width = picture.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, BITS_PER_SAMPLE, RGB, 0, 0, 0)
    chunks = [
        _chunk(b"IHDR", header),
        *(_text_chunk(keyword, text) for keyword, text in texts.items()),
        _chunk(b"IDAT", _compressed(picture)),
        _chunk(b"IEND", b""),
    ]
    return SIGNATURE + b"".join(chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib_ng.crc32(content, zlib_ng.crc32(kind))
    return b"".join((struct.pack(">I", len(content)), kind, content, struct.pack(">I", checksum)))


def _text_chunk(keyword: str, text: str) -> bytes:
    # Two bytes for "not compressed", then an empty language and an empty translated keyword.
    return _chunk(b"iTXt", keyword.encode("latin-1") + b"\0\0\0\0\0" + text.encode())


def _compressed(picture: np.ndarray) -> bytes:
    compressor = zlib_ng.compressobj(
        LEVEL, zlib_ng.DEFLATED, zlib_ng.MAX_WBITS, MEMORY_LEVEL, zlib_ng.Z_RLE
    )
    parts = [compressor.compress(strip) for strip in _filtered_strips(picture)]
    return b"".join([*parts, compressor.flush()])


def _filtered_strips(picture: np.ndarray) -> Iterator[np.ndarray]:
    """Yield rows of samples, each after the byte that names its filter."""
    height, width = picture.shape[:2]
    samples = picture.reshape(height, width * NUM_CHANNELS)
    # Beyond the upper and the left edge, a filter sees zeros.
    padded = np.pad(samples, ((1, 0), (NUM_CHANNELS, 0)))
    for top in range(0, height, STRIP_ROWS):
        residual = _paeth(padded[top : top + STRIP_ROWS + 1])
        yield np.pad(residual, ((0, 0), (1, 0)), constant_values=PAETH_FILTER)


def _paeth(strip: np.ndarray) -> np.ndarray:
    """Return each sample less the neighbour that is nearest to left + above - corner.

    Args:
        strip: (rows + 1, samples + 3) uint8: the row above and the pixel on the left included.
    """
    left, above = strip[1:, :-NUM_CHANNELS], strip[:-1, NUM_CHANNELS:]
    corner = strip[:-1, :-NUM_CHANNELS]
    # All in bytes: how far the estimate is from the left is how far above is from the corner.
    from_left, from_above = _distance(above, corner), _distance(left, corner)
    nearer = np.minimum(from_left, from_above)
    is_between = (left < corner) == (corner < above)
    from_corner = np.maximum(from_left, from_above) - nearer  # if it is between the two
    predicted = _select(from_left <= from_above, left, above)
    predicted = _select(is_between & (from_corner < nearer), corner, predicted)
    residual: np.ndarray = strip[1:, NUM_CHANNELS:] - predicted
    return residual


def _distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    distance: np.ndarray = np.maximum(a, b) - np.minimum(a, b)
    return distance


def _select(condition: np.ndarray, yes: np.ndarray, no: np.ndarray) -> np.ndarray:
    """Return `np.where(condition, yes, no)`, without its branch for every sample."""
    mask = np.negative(condition.view(np.uint8))
    selected: np.ndarray = no ^ ((no ^ yes) & mask)
    return selected
