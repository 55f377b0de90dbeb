"""From the canvas that was generated to the exact size that was asked for, and back."""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageOps

from serve_app.messages import Size

Resize = Callable[[Image.Image, tuple[int, int], Image.Resampling], Image.Image]

# FLUX draws nothing sensible on less, so a smaller picture is drawn larger and scaled down.
MIN_CANVAS_SIDE_PX = 256


def fit(canvas: np.ndarray, output: Size) -> np.ndarray:
    """Return the picture at exactly `output`, cut around the centre.

    A canvas larger than the output by rounding alone is only cropped: nothing is resampled.

    Args:
        canvas: (height, width, 3) uint8, at least as large as `output` on each side.
        output: The size of the result, in pixels.
    """
    if min(output.width, output.height) < MIN_CANVAS_SIDE_PX:
        canvas = _scaled_to_cover(canvas, output)
    return _centre_crop(canvas, output)


def cover(picture: np.ndarray, size: Size) -> np.ndarray:
    """Return a picture scaled until it covers `size`, and cut around its centre.

    Args:
        picture: (height, width, 3) or, for a mask, (height, width), uint8; not resampled where it
            has that size already.
        size: Of the result, in pixels.
    """
    # It cuts before it scales: a strip of one pixel's width would grow beyond memory.
    return _resampled(picture, size, ImageOps.fit)


def to_canvas(picture: np.ndarray, canvas: Size) -> np.ndarray:
    """Return a picture of the delivered size as a canvas that `fit` makes it from.

    Where the canvas is larger by rounding alone, nothing is resampled, and `fit` gives back the
    very same pixels. What of the canvas the picture leaves free repeats the picture's edge.

    Args:
        picture: (height, width, 3) or, for a mask, (height, width), uint8.
        canvas: At least as large on each side, in pixels.
    """
    if min(picture.shape[:2]) < MIN_CANVAS_SIDE_PX:
        picture = _resampled(picture, canvas, ImageOps.contain)
    height, width = picture.shape[:2]
    top, left = (canvas.height - height) // 2, (canvas.width - width) // 2
    margins = [(top, canvas.height - height - top), (left, canvas.width - width - left)]
    return np.pad(picture, [*margins, *[(0, 0)] * (picture.ndim - 2)], mode="edge")


def _resampled(picture: np.ndarray, size: Size, resize: Resize) -> np.ndarray:
    # Lanczos overshoots at edges, and a mask's zeros are a promise.
    is_mask = picture.ndim == 2
    resampling = Image.Resampling.BILINEAR if is_mask else Image.Resampling.LANCZOS
    image = Image.fromarray(np.ascontiguousarray(picture))
    return np.asarray(resize(image, (size.width, size.height), resampling))


def _scaled_to_cover(canvas: np.ndarray, output: Size) -> np.ndarray:
    """Scale down until one side is the output's and the other is not smaller."""
    height, width = canvas.shape[:2]
    if output.width * height >= output.height * width:
        cover = (output.width, -(-height * output.width // width))
    else:
        cover = (-(-width * output.height // height), output.height)
    return np.asarray(Image.fromarray(canvas).resize(cover, Image.Resampling.LANCZOS))


def _centre_crop(picture: np.ndarray, output: Size) -> np.ndarray:
    height, width = picture.shape[:2]
    top, left = (height - output.height) // 2, (width - output.width) // 2
    return picture[top : top + output.height, left : left + output.width]
