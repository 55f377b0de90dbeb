"""Image files for the tests of untrusted uploads, made by Pillow or written out chunk by chunk."""

import io
import struct
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

GREY, RGB, PALETTE = 0, 2, 3  # a PNG's colour types


def saved(image: Image.Image, file_format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def noise(width: int = 48, height: int = 32) -> Image.Image:
    """Return a soft random picture, whose corners differ."""
    small = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def corners() -> Image.Image:
    """Return a picture of four flat quarters: red, green, blue, white."""
    quarters = np.array([[(255, 0, 0), (0, 255, 0)], [(0, 0, 255), (255, 255, 255)]], np.uint8)
    return Image.fromarray(quarters).resize((48, 32), Image.Resampling.NEAREST)


def oriented(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x8825] = {1: "N", 2: (52.0, 31.0, 12.0)}  # GPS
    return exif


def chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def png(width: int, height: int, bits: int, colour: int, rows: bytes, *extra: bytes) -> bytes:
    """Return a PNG file with these raw rows, each after its filter byte."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    chunks = [chunk(b"IHDR", header), *extra, chunk(b"IDAT", zlib.compress(rows, 9))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks) + chunk(b"IEND", b"")


def jpeg_with(segments: bytes, jpeg: bytes | None = None) -> bytes:
    """Return a JPEG file with more segments after its first marker."""
    jpeg = saved(noise(), "JPEG") if jpeg is None else jpeg
    return jpeg[:2] + segments + jpeg[2:]


@cache
def samples() -> dict[str, bytes]:
    """Return a good file of every kind that is read."""
    picture = noise()
    see_through = picture.copy()
    see_through.putalpha(picture.convert("L"))
    frames = [picture.rotate(90), picture.rotate(180)]
    deep = np.asarray(picture.convert("L")).astype(np.uint16) * 257
    makers: dict[str, Callable[[], bytes]] = {
        "png": lambda: saved(picture, "PNG", exif=oriented(6)),
        "png-rgba": lambda: saved(see_through, "PNG"),
        "png-la": lambda: saved(see_through.convert("LA"), "PNG"),
        "png-grey": lambda: saved(picture.convert("L"), "PNG"),
        "png-1bit": lambda: saved(picture.convert("1"), "PNG"),
        "png-16bit": lambda: saved(Image.fromarray(deep), "PNG"),
        "png-palette": lambda: saved(picture.convert("P"), "PNG", transparency=bytes(range(99))),
        "apng": lambda: saved(picture, "PNG", save_all=True, append_images=frames),
        "jpeg": lambda: saved(picture, "JPEG", exif=oriented(3)),
        "jpeg-progressive": lambda: saved(picture, "JPEG", progressive=True),
        "jpeg-cmyk": lambda: saved(picture.convert("CMYK"), "JPEG"),
        "jpeg-grey": lambda: saved(picture.convert("L"), "JPEG"),
        "webp": lambda: saved(picture, "WEBP", exif=oriented(8)),
        "webp-lossless": lambda: saved(see_through, "WEBP", lossless=True),
        "webp-animated": lambda: saved(picture, "WEBP", save_all=True, append_images=frames),
    }
    return {name: make() for name, make in makers.items()}
