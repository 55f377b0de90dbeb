"""The pictures that are asked for, and what they look like when nothing goes wrong."""

import base64
import io
from collections.abc import Mapping
from typing import Any

import httpx
import numpy as np
from PIL import Image

PATH = "/v1/images/generations"
SEEDS = (1, 2, 3, 4)
SIDE_PX = 256
BODY = {
    "prompt": "a large red circle on a blue background",
    "size": f"{SIDE_PX}x{SIDE_PX}",
    "num_inference_steps": 8,
    "response_format": "b64_json",
}
# Pictures that share steps may differ from one alone in the rounding of a level.
ROUNDING = 1

Pictures = Mapping[int, np.ndarray]


def picture_in(answer: Mapping[str, Any]) -> np.ndarray:
    """Return the picture of an answer's document, (height, width, 3) uint8."""
    (item,) = answer["data"]
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(item["b64_json"]))))


def undisturbed(url: str) -> Pictures:
    """Return the picture of each seed, asked for one by one."""
    pictures = {}
    with httpx.Client(base_url=url, timeout=120) as client:
        for seed in SEEDS:
            answer = client.post(PATH, json=BODY | {"seed": seed})
            answer.raise_for_status()
            pictures[seed] = picture_in(answer.json())
    assert not any(is_same(pictures[a], pictures[b]) for a in SEEDS for b in SEEDS if a < b)
    return pictures


def is_same(picture: np.ndarray, other: np.ndarray) -> bool:
    """Whether two pictures are one, but for the rounding of a level."""
    if picture.shape != other.shape:
        return False
    return bool(np.abs(picture.astype(int) - other).max() <= ROUNDING)
