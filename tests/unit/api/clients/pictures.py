"""A picture to send, a mask for its left half, and what an answer holds."""

import base64
import io
from pathlib import Path

import numpy as np
from openai.types import ImagesResponse
from PIL import Image

WIDTH, HEIGHT = 96, 64


def picture() -> np.ndarray:
    """Return (height, width, 3) uint8 that no codec and no scaling would leave as it is."""
    return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def mask() -> np.ndarray:
    """Return (height, width) uint8, 255 in the left half, which is the one to edit."""
    painted = np.zeros((HEIGHT, WIDTH), np.uint8)
    painted[:, : WIDTH // 2] = 255
    return painted


def write_pictures(folder: Path) -> None:
    """Write `image.png` and `mask.png`, whose left half is transparent."""
    Image.fromarray(picture()).save(folder / "image.png")
    see_through = Image.fromarray(picture()).convert("RGBA")
    see_through.putalpha(Image.fromarray(255 - mask()))
    see_through.save(folder / "mask.png")


def decoded(content: bytes) -> np.ndarray:
    """Return the pixels of a file."""
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def only_picture(answer: ImagesResponse) -> np.ndarray:
    """Return the pixels of the one picture that an answer holds."""
    assert answer.data is not None
    (image,) = answer.data
    assert image.url is None
    return decoded(base64.b64decode(image.b64_json or ""))
