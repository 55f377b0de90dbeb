"""Untrusted image bytes to checked pixels: the picture to edit, and the mask that says where."""

import numpy as np
from PIL import Image

from serve_app.api.input_images.files import open_image
from serve_app.api.values import invalid
from serve_app.errors import InvalidRequestError
from serve_app.messages import Size

OPAQUE = 255


def read_image(field: str, content: bytes) -> np.ndarray:
    """Return the picture in a file: (height, width, 3) uint8, RGB, upright, on white.

    Colour profiles are not applied.

    Args:
        field: Where the file came from, for errors.
        content: All of the file.

    Raises:
        InvalidRequestError: It is no PNG, JPEG or WebP file, is broken, or has too many pixels.
    """
    image = _with_8_bits(open_image(field, content))
    if not image.has_transparency_data:
        return np.array(image.convert("RGB"))
    picture = image.convert("RGBA")
    on_white = Image.new("RGB", picture.size, "white")
    on_white.paste(picture, mask=picture)
    return np.array(on_white)


def read_mask(content: bytes, image_size: Size) -> np.ndarray:
    """Return the mask in a file: (height, width) uint8, 255 where the picture is painted anew.

    With an alpha channel the transparent part is painted, else the white one; what lies between
    is soft.

    Args:
        content: All of the file.
        image_size: Of the upright picture, which must be the mask's own.

    Raises:
        InvalidRequestError: `read_image` would raise it, the size differs, or nothing is painted.
    """
    image = _with_8_bits(open_image("mask", content))
    _check_size(image, image_size)
    if image.has_transparency_data:
        mask = OPAQUE - np.asarray(image.convert("RGBA").getchannel("A"))
        rule = "It has an alpha channel, and no part of it is transparent."
    else:
        mask = np.array(image.convert("RGB").convert("L"))
        rule = "It is all black; white is where the image is edited."
    if not mask.any():
        raise InvalidRequestError(f"The 'mask' leaves nothing to edit. {rule}", "mask")
    return mask


def _with_8_bits(image: Image.Image) -> Image.Image:
    """Return a picture without 16-bit grey, of which Pillow would cut off all that is not dark."""
    if image.mode != "I;16":
        return image
    levels = np.asarray(image)
    grey = Image.fromarray((levels >> 8).astype(np.uint8))
    transparent = image.info.get("transparency")
    if transparent is not None:
        grey.putalpha(Image.fromarray(np.where(levels == transparent, 0, OPAQUE).astype(np.uint8)))
    return grey


def _check_size(image: Image.Image, image_size: Size) -> None:
    size = Size(*image.size)
    if size != image_size:
        raise invalid.wrong_value("mask", str(size), f"Must be of the image's size, {image_size}.")
