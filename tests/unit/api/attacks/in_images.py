"""Files that are not pictures, and pictures that are more than that."""

import zlib
from collections.abc import Callable
from functools import partial

from PIL import Image

from tests.unit.api.attacks.attack import Attack, edit_of, file_part
from tests.unit.api.image_samples import GREY, RGB, chunk, jpeg_with, noise, png, samples, saved

SOF0 = b"\xff\xc0\x00\x11\x08"

SVG = (
    b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>alert(1)</script></svg>'
)
ENTITIES = b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><svg>&b;</svg>'
SCRIPT = b"<script>alert(1)</script>"
ZIP = b"PK\x03\x04" + bytes(26) + b"a.html" + SCRIPT


def edited(name: str, make: Callable[[], bytes], status: int = 400) -> Attack:
    """Return an edit of a file; a refusal names the image."""
    param = None if status == 200 else "image"
    return Attack(f"image: {name}", lambda: edit_of(make()), status, param)


def masked(name: str, make: Callable[[], bytes]) -> Attack:
    """Return an edit of a good picture with a bad mask."""
    return Attack(
        f"mask: {name}", lambda: edit_of(samples()["png"], file_part(make(), "mask")), 400, "mask"
    )


def blank_png(width: int, height: int) -> bytes:
    """Return a black and white PNG, a thousand times smaller than its pixels."""
    return png(width, height, 1, GREY, bytes((-(-width // 8) + 1) * height))


def jpeg_of(width: int, height: int) -> bytes:
    """Return a JPEG that claims a size."""
    jpeg = saved(noise(), "JPEG")
    start = jpeg.index(SOF0) + len(SOF0)
    return jpeg[:start] + height.to_bytes(2) + width.to_bytes(2) + jpeg[start + 4 :]


def png_with(*chunks: bytes) -> bytes:
    return png(48, 32, 8, RGB, bytes((48 * 3 + 1) * 32), *chunks)


def bomb(num_bytes: int = 64 * 2**20) -> bytes:
    """Return what inflates to very much."""
    return zlib.compress(bytes(num_bytes), 9)


def cut(name: str, tenths: int) -> bytes:
    content = samples()[name]
    return content[: len(content) * tenths // 10]


def wide_palette() -> bytes:
    return saved(Image.new("P", (4000, 4000)), "PNG")


OTHERS = {
    "SVG": SVG,
    "SVG with entities": ENTITIES,
    "HTML": b"<!doctype html><script>alert(1)</script>",
    "PHP": b"<?php system($_GET['c']); ?>",
    "PDF": b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj",
    "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nwhile(1){}",
    "PSD": b"8BPS\x00\x01" + bytes(60),
    "FITS": b"SIMPLE  =                    T" + b" " * 2850,
    "HEIC": b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic",
    "JPEG XL": b"\x00\x00\x00\x0cJXL \r\n\x87\n",
    "a script": b"#!/bin/sh\nid\n",
    "a pickle": b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x02id\x85R.",
    "a zip": ZIP,
    "RIFF that is sound": b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(24),
}
KINDS = ("GIF", "BMP", "TIFF", "ICO", "TGA", "PPM", "PCX", "JPEG2000", "AVIF")

OTHER_FORMATS = (
    *(edited(name, partial(bytes, content)) for name, content in OTHERS.items()),
    *(edited(kind, partial(saved, noise(), kind)) for kind in KINDS),
)

BOMBS = (
    edited("13000 x 13000 pixels in 20 kB", lambda: blank_png(13_000, 13_000)),
    edited("1 x 100 million pixels", lambda: png(1, 100_000_000, 1, GREY, bytes(64))),
    edited("2^31 - 1 pixels on each side", lambda: png(2**31 - 1, 2**31 - 1, 8, RGB, bytes(64))),
    edited("a JPEG that claims 65535 x 65535", lambda: jpeg_of(65535, 65535)),
    edited("a JPEG that claims more than it has", lambda: jpeg_of(4000, 4000), 200),
    edited("text that inflates to 64 MB", lambda: png_with(chunk(b"zTXt", b"a\0\0" + bomb()))),
    edited(
        "international text that inflates",
        lambda: png_with(chunk(b"iTXt", b"a\0\1\0\0\0" + bomb())),
    ),
    edited("a profile that inflates", lambda: png_with(chunk(b"iCCP", b"a\0\0" + bomb()))),
    edited("pixels that inflate", lambda: png(48, 32, 8, RGB, bytes(64 * 2**20)), 200),
    edited("60 000 chunks", lambda: png_with(*[chunk(b"tEXt", b"")] * 60_000)),
    edited("20 000 segments", lambda: jpeg_with(b"\xff\xfe\x00\x02" * 20_000)),
    edited(
        "500 scans", lambda: samples()["jpeg"][:-2] + b"\xff\xda\x00\x08\x01\x01\0\0\x3f\0" * 500
    ),
    edited(
        "10 million frames that are not there",
        lambda: png_with(chunk(b"acTL", (10**7).to_bytes(4) + bytes(4))),
        200,
    ),
    edited(
        "200 frames",
        lambda: saved(noise(), "WEBP", save_all=True, append_images=[noise()] * 199, method=0),
        200,
    ),
    edited("1 x 20000 pixels", lambda: blank_png(1, 20_000), 200),
    edited("20000 x 1 pixels", lambda: blank_png(20_000, 1), 200),
    edited("16 million palette pixels", wide_palette, 200),
)

DAMAGES = (
    edited("a signature only", lambda: b"\x89PNG\r\n\x1a\n"),
    edited("half a signature", lambda: b"\x89PN"),
    edited("no pixels", lambda: png(0, 0, 8, RGB, b"")),
    edited("no rows", lambda: png(48, 32, 8, RGB, b"")),
    edited("a bit depth nobody has", lambda: png(48, 32, 3, RGB, bytes(5000))),
    edited("a colour type nobody has", lambda: png(48, 32, 8, 5, bytes(5000))),
    edited("chunks of negative length", lambda: png_with(b"\xff\xff\xff\xfftEXt")),
    edited("NUL after a JPEG's mark", lambda: b"\xff\xd8\xff" + bytes(1000)),
    edited("a WebP of nothing", lambda: b"RIFF\x04\x00\x00\x00WEBP"),
    *(
        edited(f"{name} cut after {tenths} tenths", partial(cut, name, tenths))
        for name in ("png", "jpeg", "webp")
        for tenths in (1, 5, 9)
    ),
)


# Good pictures that are also something else.
POLYGLOTS: dict[str, Callable[[], bytes]] = {
    "a PNG and a zip": lambda: samples()["png"] + ZIP,
    "a PNG and a script": lambda: samples()["png"] + SCRIPT,
    "a PNG with a script within": lambda: png_with(chunk(b"tEXt", b"Comment\0" + SCRIPT)),
    "a JPEG and PHP": lambda: jpeg_with(b"\xff\xfe\x00\x1b" + SCRIPT),
    "a JPEG and a place": lambda: samples()["jpeg"],
}

ODDITIES = (
    *(edited(name, make, 200) for name, make in POLYGLOTS.items()),
    edited("a GIF that says PNG later", lambda: b"GIF89a" + samples()["png"]),
    edited("CMYK", lambda: samples()["jpeg-cmyk"], 200),
    edited("16 bits", lambda: samples()["png-16bit"], 200),
    edited("1 x 1", lambda: saved(noise(1, 1), "PNG"), 200),
)

MASKS = (
    masked("SVG", lambda: SVG),
    masked("13000 x 13000", lambda: blank_png(13_000, 13_000)),
    masked("cut short", lambda: cut("png", 5)),
    masked("one pixel", lambda: saved(noise(1, 1), "PNG")),
)

ATTACKS = (*OTHER_FORMATS, *BOMBS, *DAMAGES, *ODDITIES, *MASKS)
