"""The pictures that are asked for, and what they look like when nothing goes wrong."""

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
from PIL import Image

PATH = "/v1/images/generations"
SEEDS = (1, 2, 3, 4)
SIDE_PX = 256
NUM_STEPS = 8
BODY = {
    "prompt": "a large red circle on a blue background",
    "size": f"{SIDE_PX}x{SIDE_PX}",
    "num_inference_steps": NUM_STEPS,
    "response_format": "b64_json",
}
# Pictures that share steps may differ from one alone in the rounding of a level.
ROUNDING = 1


@dataclass(frozen=True, slots=True)
class Pictures:
    """One picture of each seed.

    Attributes:
        num_steps: That each is made in.
        of_seed: (height, width, 3) uint8.
    """

    num_steps: int
    of_seed: Mapping[int, np.ndarray]

    def body(self, seed: int) -> dict[str, Any]:
        """Return the request for one of them."""
        return body(seed, self.num_steps)

    def has(self, answer: Mapping[str, Any], seed: int) -> bool:
        """Whether an answer's document has the picture of a seed."""
        return is_same(picture_in(answer), self.of_seed[seed])


def body(seed: int, num_steps: int) -> dict[str, Any]:
    """Return a request for a picture."""
    return BODY | {"seed": seed, "num_inference_steps": num_steps}


def picture_in(answer: Mapping[str, Any]) -> np.ndarray:
    """Return the picture of an answer's document, (height, width, 3) uint8."""
    (item,) = answer["data"]
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(item["b64_json"]))))


def undisturbed(url: str, num_steps: int) -> Pictures:
    """Return the picture of each seed, asked for one by one."""
    pictures = {}
    with httpx.Client(base_url=url, timeout=120) as client:
        for seed in SEEDS:
            answer = client.post(PATH, json=body(seed, num_steps))
            answer.raise_for_status()
            pictures[seed] = picture_in(answer.json())
    assert not any(is_same(pictures[a], pictures[b]) for a in SEEDS for b in SEEDS if a < b)
    return Pictures(num_steps, pictures)


def is_same(picture: np.ndarray, other: np.ndarray) -> bool:
    """Whether two pictures are one, but for the rounding of a level."""
    if picture.shape != other.shape:
        return False
    return bool(np.abs(picture.astype(int) - other).max() <= ROUNDING)
