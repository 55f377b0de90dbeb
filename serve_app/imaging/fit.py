"""From the canvas that was generated to the exact size that was asked for."""

import numpy as np
from PIL import Image

from serve_app.messages import Size

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
