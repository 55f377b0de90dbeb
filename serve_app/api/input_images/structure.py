"""Files that are small and slow: what would keep a decoder for minutes, counted beforehand.

The pixels alone do not bound a decoder's time. A JPEG may paint its picture over and over, in scans
of a few bytes each; and Pillow walks through a PNG's chunks and a JPEG's segments in Python.
"""

import re

# 50 MB in chunks of 1 KiB; Pillow takes 6 us for each.
MAX_PNG_CHUNKS = 50_000

# Encoders write about ten. A scan costs 9 ms at 64 megapixels.
MAX_JPEG_SCANS = 100
MAX_JPEG_SEGMENTS = 10_000
# Between the segments before the first scan, which Pillow skips byte by byte.
MAX_JPEG_PADDING_BYTES = 65536

PNG_SIGNATURE_BYTES = 8
PNG_CHUNK_FRAME_BYTES = 12

JPEG_SCAN = 0xDA
JPEG_END = 0xD9

# Not the fill byte, nor what belongs to the pixels: an escaped 0xFF and the restart markers.
_JPEG_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")
_JPEG_HAS_LENGTH = frozenset((*range(0xC0, 0xC8), *range(0xC9, 0xD0), *range(0xDA, 0xF0), 0xFE))


def is_slow_png(content: bytes) -> bool:
    """Return whether a PNG has more chunks than a picture needs."""
    position = PNG_SIGNATURE_BYTES
    for _ in range(MAX_PNG_CHUNKS):
        length, kind = content[position : position + 4], content[position + 4 : position + 8]
        if kind in (b"IEND", b""):
            return False
        position += PNG_CHUNK_FRAME_BYTES + int.from_bytes(length)
    return True


def is_slow_jpeg(content: bytes) -> bool:
    """Return whether a JPEG has more scans, segments or padding than a picture needs."""
    position, num_scans, num_padding_bytes = 2, 0, 0
    for _ in range(MAX_JPEG_SEGMENTS):
        found = _JPEG_MARKER.search(content, position)
        if found is None:
            return False
        marker = found[1][0]
        if marker == JPEG_END and num_scans:
            return False
        if not num_scans:
            num_padding_bytes += found.start() - position
        num_scans += marker == JPEG_SCAN
        if num_scans > MAX_JPEG_SCANS or num_padding_bytes > MAX_JPEG_PADDING_BYTES:
            return True
        position = found.end() + _segment_length(content, found.end(), marker)
    return True


def _segment_length(content: bytes, position: int, marker: int) -> int:
    return int.from_bytes(content[position : position + 2]) if marker in _JPEG_HAS_LENGTH else 0
