"""Pictures from pictures, and pictures that are shown before they are finished."""

import base64
import io
import json
from typing import Any

import httpx
import numpy as np
from PIL import Image

from tests.integration.test_dag import maps_torch, replicas

PROMPT = "a large red circle on a blue background"
SIDE = 512


def pictures(answer: httpx.Response) -> list[np.ndarray]:
    assert answer.status_code == 200, answer.text
    files = [base64.b64decode(item["b64_json"]) for item in answer.json()["data"]]
    return [np.asarray(Image.open(io.BytesIO(file))) for file in files]


def generated(client: httpx.Client, **parameters: Any) -> np.ndarray:
    body = {"prompt": PROMPT, "size": f"{SIDE}x{SIDE}", "response_format": "b64_json", "seed": 1}
    (picture,) = pictures(client.post("/v1/images/generations", json=body | parameters))
    return picture


def edited(
    client: httpx.Client, picture: np.ndarray, mask: np.ndarray | None = None, **parameters: Any
) -> np.ndarray:
    files = {"image": ("image.png", png(picture))}
    if mask is not None:
        files["mask"] = ("mask.png", png(mask))
    form = {"prompt": PROMPT, "response_format": "b64_json", "seed": "2"} | parameters
    (result,) = pictures(client.post("/v1/images/edits", data=form, files=files))
    return result


def png(picture: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "png")
    return file.getvalue()


def test_strength_0_returns_the_picture(client: httpx.Client) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (300, 270, 3), dtype=np.uint8)
    assert np.array_equal(edited(client, picture, strength="0"), picture)


def test_more_strength_leads_further_away(client: httpx.Client) -> None:
    picture = generated(client)
    other = "a small green square at the top on a yellow background"
    little = edited(client, picture, prompt=other, strength="0.1")
    much = edited(client, picture, prompt=other, strength="1")
    assert little.shape == much.shape == picture.shape
    near, far = (np.abs(result.astype(int) - picture).mean() for result in (little, much))
    assert 2 * near < far


def test_only_what_is_masked_changes(client: httpx.Client) -> None:
    picture = generated(client)
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[: SIDE // 2, : SIDE // 2] = 255
    prompt = "a large green square on a yellow background"
    result = edited(client, picture, mask, prompt=prompt, strength="1")
    protected = mask == 0
    assert np.array_equal(result[protected], picture[protected])
    assert np.abs(result[~protected].astype(int) - picture[~protected]).mean() > 30


def test_a_stream_shows_previews_and_ends_with_the_picture(client: httpx.Client) -> None:
    body = {"prompt": PROMPT, "size": f"{SIDE}x{SIDE}", "seed": 1}
    streamed = {"stream": True, "partial_images": 2}
    with client.stream("POST", "/v1/images/generations", json=body | streamed) as answer:
        lines = [line for line in answer.iter_lines() if line.startswith("data: ")]
    events = [json.loads(line.removeprefix("data: ")) for line in lines]
    kinds = [event["type"].partition(".")[2] for event in events]
    # The picture may overtake the last of its previews.
    assert kinds in (["partial_image"] * 2 + ["completed"], ["partial_image", "completed"])
    files = [base64.b64decode(event["b64_json"]) for event in events]
    *previews, last = (np.asarray(Image.open(io.BytesIO(file))).astype(int) for file in files)
    assert np.array_equal(last, generated(client))
    errors = [np.abs(preview - last).mean() for preview in previews]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] > 0


def test_tensors_of_a_stream_stay_out_of_the_ingress(client: httpx.Client) -> None:
    edited(client, generated(client), strength="0.5")
    assert not any(maps_torch(process) for process in replicas("Ingress"))
