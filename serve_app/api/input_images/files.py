"""Untrusted bytes to a decoded picture: PNG, JPEG or WebP, and not too much of it."""

import io
import re
import struct
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from PIL import ExifTags, Image
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from serve_app.api.input_images.structure import is_slow_jpeg, is_slow_png
from serve_app.errors import InvalidRequestError

MAX_PIXELS = 64 * 10**6

# What Pillow raises on broken files, besides its own errors, which are all OSErrors.
BROKEN = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    LookupError,
    MemoryError,
    OverflowError,
    TypeError,
    struct.error,
    zlib.error,
)

UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class FileFormat:
    """A kind of file that is read.

    Attributes:
        signature: How one begins.
        open: Reads the header. (`Image.open` would guess, and try 40 other formats.)
        is_slow: Whether decoding one would take longer than its pixels explain.
    """

    signature: re.Pattern[bytes]
    open: Callable[[io.BytesIO], ImageFile]
    is_slow: Callable[[bytes], bool] | None = None


FORMATS = (
    FileFormat(re.compile(rb"\x89PNG\r\n\x1a\n"), PngImageFile, is_slow_png),
    FileFormat(re.compile(rb"\xff\xd8\xff"), JpegImageFile, is_slow_jpeg),
    FileFormat(re.compile(rb"RIFF.{4}WEBP", re.DOTALL), WebPImageFile),
)


def open_image(field: str, content: bytes) -> Image.Image:
    """Return the picture in a file, decoded and upright, in the file's own mode.

    Of an animation it is the first frame. Not for two threads at once: for as long as it runs,
    warnings are off in the whole process.

    Args:
        field: Where the file came from, for errors.
        content: All of the file.

    Raises:
        InvalidRequestError: It is no PNG, JPEG or WebP file, is broken, or has too many pixels.
    """
    if not content:
        raise invalid_image(field, "it is empty")
    file_format = next((known for known in FORMATS if known.signature.match(content)), None)
    if file_format is None:
        raise invalid_image(field, "it is not a PNG, JPEG or WebP file")
    if file_format.is_slow and file_format.is_slow(content):
        raise invalid_image(field, "it is made of too many pieces")
    with warnings.catch_warnings(action="ignore"):
        try:
            image = file_format.open(io.BytesIO(content))
            if image.width * image.height > MAX_PIXELS:
                raise _too_many_pixels(field)
            image.load()
        except Image.DecompressionBombError:
            raise _too_many_pixels(field) from None
        except BROKEN:
            raise invalid_image(field, "it is damaged or cut short") from None
        return _upright(image)


def invalid_image(field: str, reason: str) -> InvalidRequestError:
    """A file that is not a picture we read; `reason` is what is wrong with `it`."""
    return InvalidRequestError(f"Invalid image file provided for '{field}': {reason}.", field)


def _too_many_pixels(field: str) -> InvalidRequestError:
    return invalid_image(field, f"it has more than {MAX_PIXELS // 10**6} megapixels")


def _upright(image: Image.Image) -> Image.Image:
    """Turn a picture as its camera was held.

    `ImageOps.exif_transpose` would also write the EXIF data anew, and fail where they are broken.
    """
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except BROKEN:
        return image
    transpose = UPRIGHT.get(orientation)
    return image if transpose is None else image.transpose(transpose)
