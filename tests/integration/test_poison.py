"""A request of which replicas die is given up; those that died with it are answered."""

import base64
import os
import sys
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any, cast

import httpx
import numpy as np
import pytest
from PIL import Image
from ray import cloudpickle, serve
from ray.serve import Deployment

from serve_app.config import AppConfig
from serve_app.deployments.denoiser import Denoiser
from serve_app.deployments.vae import Vae
from serve_app.messages import DenoiseParams, EncodedImage, Latents, Pixels, PromptEmbeds
from tests.integration.conftest import LITTLE, Server, beside, own_places

APP = "mortal"
PATH = "/v1/images/generations"
POISON = 666
POISONOUS_SIZE = "256x320"
BODY = {"prompt": "a red circle on a blue background", "size": "256x256", "steps": 50}


class Mortal(Denoiser):
    """A denoiser that one seed ends, as a picture may that is too much for a GPU's driver."""

    async def denoise(
        self, embeds: PromptEmbeds, params: DenoiseParams, image: EncodedImage | None = None
    ) -> Latents:
        end_if_poison(params)
        return await super().denoise(embeds, params, image)

    async def denoise_stream(
        self, embeds: PromptEmbeds, params: DenoiseParams, image: EncodedImage | None = None
    ) -> AsyncGenerator[Latents]:
        end_if_poison(params)
        async for latents in super().denoise_stream(embeds, params, image):
            yield latents


class MortalVae(Vae):
    """A Vae that one size ends."""

    async def decode(self, latents: Latents) -> Pixels:
        if str(latents.canvas) == POISONOUS_SIZE:
            os._exit(1)
        return await super().decode(latents)


def picture(response: httpx.Response) -> np.ndarray:
    encoded = response.json()["data"][0]["b64_json"]
    return np.asarray(Image.open(BytesIO(base64.b64decode(encoded))), dtype=np.int16)


def end_if_poison(params: DenoiseParams) -> None:
    if params.seed == POISON:
        os._exit(1)


@pytest.fixture(scope="module")
def mortal(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """An ingress before a denoiser of its own and the other stages of the application."""
    # The replicas cannot import the tests.
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    config = AppConfig.model_validate(own_places(tmp_path_factory.mktemp("mortal")))
    denoiser = cast(Deployment, serve.deployment(Mortal, health_check_period_s=1, **LITTLE)).bind(
        config.model, config.engine
    )
    vae = cast(Deployment, serve.deployment(MortalVae, health_check_period_s=1, **LITTLE)).bind(
        config.model
    )
    with beside(server, APP, config, denoiser=denoiser, vae=vae) as client:
        yield client


@pytest.mark.parametrize(
    "more",
    [
        {"seed": POISON},
        {"seed": POISON, "stream": True, "partial_images": 1},
        {"size": POISONOUS_SIZE},
    ],
    ids=["denoiser", "denoiser, streamed", "Vae"],
)
def test_a_request_that_ends_replicas_fails_alone(
    mortal: httpx.Client, more: dict[str, Any]
) -> None:
    def post(seed: int, /, **fields: object) -> httpx.Response:
        body = BODY | {"seed": seed, "response_format": "b64_json"} | fields
        return mortal.post(PATH, json=body)

    undisturbed = {seed: picture(post(seed)) for seed in (1, 2, 3)}
    with ThreadPoolExecutor(4) as clients:
        neighbours = {seed: clients.submit(post, seed) for seed in undisturbed}
        poison = clients.submit(post, 4, **more).result()
    for seed, answer in neighbours.items():
        assert answer.result().status_code == 200
        # Within a level's rounding: what shares steps differs in so much.
        assert np.abs(picture(answer.result()) - undisturbed[seed]).max() <= 1
    assert "died of this request twice" in poison.text
    if "stream" not in more:
        assert poison.status_code == 500
        assert poison.headers["x-should-retry"] == "false"
    entries = mortal.get("/v1/requests").json()["data"]
    statuses = sorted(entry["status"] for entry in entries[:4])
    assert statuses == ["completed"] * 3 + ["upstream_failure"]
