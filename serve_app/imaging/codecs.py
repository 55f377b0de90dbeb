"""Pixels to the bytes of an image file."""

import io
import zlib

import numpy as np
from PIL import Image

from serve_app.messages import OutputFormat

# From here up a JPEG keeps its full colour resolution: red edges on blue would smear otherwise.
FULL_CHROMA_QUALITY = 90


def encode(picture: np.ndarray, output_format: OutputFormat, quality: int) -> bytes:
    """Return the file of a picture.

    Args:
        picture: (height, width, 3) uint8, RGB.
        output_format: Of the file.
        quality: 0 to 100, 100 is best; png is lossless and has none.
    """
    file = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(picture))
    image.save(file, output_format, **_options(output_format, quality))
    return file.getvalue()


def _options(output_format: OutputFormat, quality: int) -> dict[str, int]:
    if output_format == "png":
        # At 1024x1024, on one core: 64-94 ms, against 135-153 ms of level 1 alone, whose files
        # are also a tenth larger; level 6 takes 270-420 ms for at most 4 % less.
        return {"compress_level": 1, "compress_type": zlib.Z_RLE}
    if output_format == "jpeg":
        subsampling = 0 if quality >= FULL_CHROMA_QUALITY else 2
        return {"quality": quality, "subsampling": subsampling}
    return {"quality": quality}
