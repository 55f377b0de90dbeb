"""Pictures as tests of files need them: like photographs, smooth, flat, and random."""

import io

import numpy as np
from PIL import Image


def opened(content: bytes) -> Image.Image:
    """Return a file's picture, all of it read."""
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def pixels_of(content: bytes) -> np.ndarray:
    return np.asarray(opened(content).convert("RGB"))


def random_picture(width: int, height: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def photograph(width: int, height: int) -> np.ndarray:
    """Return large soft shapes, small ones on them, and a camera's noise."""
    layers = [
        Image.fromarray(random_picture(-(-width // step), -(-height // step), seed=step)).resize(
            (width, height), Image.Resampling.BICUBIC
        )
        for step in (64, 16, 4)
    ]
    shapes = np.average([np.asarray(layer) for layer in layers], axis=0, weights=[6, 3, 1])
    noise = np.random.default_rng(0).normal(0, 1, shapes.shape)
    return (shapes + noise).clip(0, 255).astype(np.uint8)


def gradient(width: int, height: int) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    red, green = 255 * columns / (width - 1), 255 * rows / (height - 1)
    return np.stack([red, green, (red + green) / 2], axis=-1).astype(np.uint8)


def poster(width: int, height: int) -> np.ndarray:
    """Return two flat colours."""
    picture = np.full((height, width, 3), (240, 240, 230), np.uint8)
    picture[height // 4 : height // 2, width // 5 : width // 2] = (200, 20, 20)
    return picture
