"""The running application draws what the prompt says, judged from pixels."""

import base64
import io
import json
import math
import random
from collections import Counter
from collections.abc import Callable, Iterator

import httpx
import numpy as np
import pytest
import torch
from PIL import Image

from serve_app.config import EMBEDDED_MODEL_DIR
from serve_app.local_pipeline import LocalPipeline
from serve_app.messages import Size
from serve_app.tiny_flux.judge import judge
from serve_app.tiny_flux.language import all_scenes, caption, is_held_out, parse_caption

NUM_PROMPTS = 20
SIZE = Size(512, 512)
RECORD = json.loads((EMBEDDED_MODEL_DIR / "evaluation.json").read_text())


def least_right(share: float, num_evaluated: int) -> float:
    """Return what so few prompts must come to, given what the shipped model's record says.

    The share is estimated by the rule of succession (30 right of 30 is not certainty), and two
    standard deviations of the prediction are allowed for.
    """
    p = (share * num_evaluated + 1) / (num_evaluated + 2)
    variance = NUM_PROMPTS * p * (1 - p) * (1 + NUM_PROMPTS / num_evaluated)
    return NUM_PROMPTS * p - 2 * math.sqrt(variance)


BAR = {
    name: least_right(share, RECORD["prompts"])
    for name, share in RECORD["right"][str(SIZE)].items()
    if name != "all"
}

Draw = Callable[[str, int], np.ndarray]


@pytest.fixture(scope="module")
def prompts() -> list[str]:
    """Plain sentences whose combination of attributes training never saw."""
    held_out = [scene for scene in all_scenes() if is_held_out(scene)]
    rng = random.Random(20)
    return [caption(scene, rng) for scene in rng.sample(held_out, NUM_PROMPTS)]


def num_right(draw: Draw, prompts: list[str]) -> Counter[str]:
    """Return how many pictures show each attribute as asked."""
    right: Counter[str] = Counter()
    for seed, prompt in enumerate(prompts):
        scene = parse_caption(prompt)
        assert scene is not None, prompt
        verdict = judge(draw(prompt, seed), scene)
        right.update(name for name in BAR if getattr(verdict, name))
    return right


def follows_the_text(right: Counter[str]) -> bool:
    return all(right[name] >= bar for name, bar in BAR.items())


def test_the_application_follows_the_text(client: httpx.Client, prompts: list[str]) -> None:
    def draw(prompt: str, seed: int) -> np.ndarray:
        body = {"prompt": prompt, "seed": seed, "size": str(SIZE), "response_format": "b64_json"}
        answer = client.post("/v1/images/generations", json=body)
        assert answer.status_code == 200, answer.text
        file = base64.b64decode(answer.json()["data"][0]["b64_json"])
        return np.asarray(Image.open(io.BytesIO(file)))

    right = num_right(draw, prompts)
    assert follows_the_text(right), right


@pytest.fixture(scope="module")
def deaf_pipeline() -> Iterator[LocalPipeline]:
    with LocalPipeline.load(EMBEDDED_MODEL_DIR, torch.float32, torch.device("cpu")) as pipeline:
        yield pipeline


def test_the_same_check_fails_when_the_text_is_cut(
    deaf_pipeline: LocalPipeline, prompts: list[str]
) -> None:
    def draw(prompt: str, seed: int) -> np.ndarray:
        return deaf_pipeline.generate("", SIZE, seed, 28, 4.5).array

    right = num_right(draw, prompts)
    assert not follows_the_text(right), right
    assert right["background"] < BAR["background"] / 2
    assert right["color"] < BAR["color"] / 2
