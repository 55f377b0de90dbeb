"""Pixels to the bytes of an image file."""

import io
from typing import Any

import numpy as np
from PIL import ExifTags, Image

from serve_app.imaging.metadata import Origin
from serve_app.imaging.png import encode_png
from serve_app.messages import OutputFormat

# From here up jpeg and avif keep their full colour resolution, which webp does not have: red edges
# on blue would smear otherwise.
FULL_CHROMA_QUALITY = 90

# At libavif's own speed, 6, a picture takes three to eight times as long, for a tenth fewer bytes.
AVIF_SPEED = 8

GIF_COLORS = 256


def encode(
    picture: np.ndarray, output_format: OutputFormat, quality: int, origin: Origin | None = None
) -> bytes:
    """Return the file of a picture; equal arguments give equal bytes.

    Args:
        picture: (height, width, 3) uint8, RGB.
        output_format: Of the file.
        quality: 0 to 100, 100 is best; png is lossless and gif has 256 colours, at any.
        origin: What the file says about itself, if anything.
    """
    if output_format == "png":
        return encode_png(picture, _png_texts(origin))
    image = Image.fromarray(np.ascontiguousarray(picture))
    if output_format == "gif":
        image = _in_few_colors(image)
    file = io.BytesIO()
    options = _quality_options(output_format, quality) | _origin_options(output_format, origin)
    image.save(file, output_format, **options)
    return file.getvalue()


def _quality_options(output_format: OutputFormat, quality: int) -> dict[str, Any]:
    has_full_chroma = quality >= FULL_CHROMA_QUALITY
    match output_format:
        case "jpeg":
            return {"quality": quality, "subsampling": 0 if has_full_chroma else 2}
        case "webp":
            return {"quality": quality}
        case "avif":
            # One thread: a writer replica is given one core, and runs many at a time.
            subsampling = "4:4:4" if has_full_chroma else "4:2:0"
            speed = {"speed": AVIF_SPEED, "max_threads": 1}
            return {"quality": quality, "subsampling": subsampling, **speed}
        case _:
            return {}


def _png_texts(origin: Origin | None) -> dict[str, str]:
    return {} if origin is None else {"Software": origin.line, "XML:com.adobe.xmp": origin.xmp}


def _origin_options(output_format: OutputFormat, origin: Origin | None) -> dict[str, Any]:
    if origin is None:
        return {}
    if output_format == "gif":
        return {"comment": origin.line.encode()}
    exif = Image.Exif()
    exif[ExifTags.Base.Software] = origin.line
    return {"exif": exif.tobytes(), "xmp": origin.xmp.encode()}


def _in_few_colors(image: Image.Image) -> Image.Image:
    """Return the picture in a palette: exact where 256 colours are enough, else dithered."""
    if image.getcolors(GIF_COLORS) is not None:
        return image.quantize(GIF_COLORS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    # The octree's palette reaches the outermost colours, so that dithering can mix what lies
    # between; median cut's does not, and takes a hundred times as long.
    palette = image.quantize(GIF_COLORS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    return image.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
