"""Stages are processes of their own; the ingress holds no tensor; a death is survived."""

import base64
import io
import signal
import threading
import time

import httpx
import numpy as np
import psutil
import pytest
import torch
from diffusers import FluxPipeline
from PIL import Image

from serve_app.config import EMBEDDED_MODEL_DIR

PROMPT = "a large red circle on a blue background"


def generate(client: httpx.Client, **parameters: object) -> list[np.ndarray]:
    """Return the pictures of one request, (height, width, 3) uint8 each."""
    body = {"prompt": PROMPT, "size": "256x256", "response_format": "b64_json"} | parameters
    answer = client.post("/v1/images/generations", json=body)
    assert answer.status_code == 200, answer.text
    files = [base64.b64decode(item["b64_json"]) for item in answer.json()["data"]]
    return [np.asarray(Image.open(io.BytesIO(file))) for file in files]


def replicas(deployment: str) -> list[psutil.Process]:
    """Return the replica processes of one deployment in our own Ray, by their process title."""
    ours = psutil.Process().children(recursive=True)
    name = f"ServeReplica:krea-serve:{deployment}"
    return [process for process in ours if name in title(process)]


def title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def maps_torch(process: psutil.Process) -> bool:
    """Whether torch's library is in a process's memory."""
    return any("libtorch" in mapped.path for mapped in process.memory_maps())


def test_every_stage_is_a_process_of_its_own(client: httpx.Client) -> None:
    deployments = ("Ingress", "TextEncoder", "Denoiser", "Vae", "ImageWriter")
    pids = [process.pid for name in deployments for process in replicas(name)]
    assert len(set(pids)) >= len(deployments)
    assert all(replicas(name) for name in deployments)


def test_ingress_never_holds_a_tensor(client: httpx.Client) -> None:
    generate(client, n=2)
    # A message with a tensor cannot be opened without torch: where it is not loaded, none was.
    assert not any(maps_torch(process) for process in replicas("Ingress"))
    for stage in ("TextEncoder", "Denoiser", "Vae"):
        assert all(maps_torch(process) for process in replicas(stage)), stage


@pytest.mark.parametrize(("width", "height", "steps"), [(256, 256, 8), (512, 256, 5)])
def test_the_served_picture_is_diffusers_picture(
    client: httpx.Client, width: int, height: int, steps: int
) -> None:
    (served,) = generate(client, size=f"{width}x{height}", num_inference_steps=steps, seed=7)
    reference = FluxPipeline.from_pretrained(EMBEDDED_MODEL_DIR, dtype=torch.float32)
    reference.set_progress_bar_config(disable=True)
    (expected,) = reference(
        PROMPT,
        width=width,
        height=height,
        num_inference_steps=steps,
        guidance_scale=4.5,
        max_sequence_length=reference.tokenizer_2.model_max_length,
        generator=torch.Generator("cpu").manual_seed(7),
    ).images
    assert np.array_equal(served, np.asarray(expected))
    assert not np.array_equal(served, generate(client, size=f"{width}x{height}", seed=8)[0])


def test_image_i_of_seed_s_is_image_0_of_seed_s_plus_i(client: httpx.Client) -> None:
    pictures = generate(client, n=3, seed=41, num_inference_steps=4)
    (alone,) = generate(client, seed=43, num_inference_steps=4)
    # Pictures that share steps may differ from one alone in the rounding of a level.
    assert np.abs(pictures[2].astype(int) - alone).max() <= 1
    assert np.abs(pictures[0].astype(int) - pictures[1]).max() > 16


@pytest.mark.parametrize("deployment", ["Denoiser", "TextEncoder", "Vae"])
def test_a_replica_that_dies_costs_no_request(client: httpx.Client, deployment: str) -> None:
    (undisturbed,) = generate(client, seed=5, size="1024x1024", num_inference_steps=50)
    pictures: list[np.ndarray] = []
    request = threading.Thread(
        target=lambda: pictures.extend(
            generate(client, seed=5, size="1024x1024", num_inference_steps=50)
        )
    )
    victims = replicas(deployment)
    request.start()
    time.sleep(0.5)
    for victim in victims:
        victim.send_signal(signal.SIGKILL)
    request.join()
    assert np.array_equal(pictures[0], undisturbed)
