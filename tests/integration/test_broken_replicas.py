"""A replica that stands still or has lost its device ends itself, and that costs no request."""

import asyncio
import json
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar, cast

import httpx
import numpy as np
import pytest
import torch
from ray import cloudpickle, serve
from ray.serve import Deployment

from serve_app.config import AppConfig
from serve_app.deployments.denoiser import Denoiser
from serve_app.deployments.vae import Vae
from serve_app.messages import DenoiseParams, EncodedImage, Latents, Pixels, PromptEmbeds
from tests.integration.conftest import LITTLE, Server, beside, own_places
from tests.integration.test_observability import awaited
from tests.integration.test_poison import picture

APP = "breakable"
PATH = "/v1/images/generations"
BODY = {"prompt": "a red circle on a blue background", "size": "256x256", "steps": 20}
FAULTS = {"an engine that stands still": 101, "an engine": 102, "a Vae": 103}
STANDS_STILL, LOSES_ITS_ENGINE, LOSES_ITS_VAE = FAULTS.values()


# Serve by itself sends again what it does not know to be taken: the caller must know that first.
TAKEN_AFTER_S = 0.3


class Once:
    """What happens to the first replica that comes to it, and to no other."""

    folder: ClassVar[Path]

    @classmethod
    def is_first(cls, fault: int) -> bool:
        try:
            (cls.folder / str(fault)).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


def stand_still(*_: object) -> None:
    threading.Event().wait()


def lose_the_device(*_: object) -> None:
    raise torch.AcceleratorError("an illegal memory access was encountered")


class BreakableDenoiser(Denoiser):
    async def denoise(
        self, embeds: PromptEmbeds, params: DenoiseParams, image: EncodedImage | None = None
    ) -> Latents:
        transformer = self._transformer.transformer
        if params.seed in (STANDS_STILL, LOSES_ITS_ENGINE):
            await asyncio.sleep(TAKEN_AFTER_S)
        if params.seed == STANDS_STILL and Once.is_first(STANDS_STILL):
            transformer.register_forward_pre_hook(stand_still)
        if params.seed == LOSES_ITS_ENGINE and Once.is_first(LOSES_ITS_ENGINE):
            transformer.register_forward_pre_hook(lose_the_device)
        return await super().denoise(embeds, params, image)


class BreakableVae(Vae):
    async def decode(self, latents: Latents) -> Pixels:
        if (Once.folder / "break the Vae").exists():
            await asyncio.sleep(TAKEN_AFTER_S)
        if (Once.folder / "break the Vae").exists() and Once.is_first(LOSES_ITS_VAE):
            self._stage.vae.decoder.register_forward_pre_hook(lose_the_device)
        return await super().decode(latents)


@pytest.fixture(scope="module")
def breakable(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    # The replicas cannot import the tests.
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    folder = Once.folder = tmp_path_factory.mktemp("breakable")
    config = AppConfig.model_validate(own_places(folder) | {"engine": {"wedged_after_s": 2}})
    options = LITTLE | {"health_check_period_s": 1}
    denoiser = cast(Deployment, serve.deployment(BreakableDenoiser, **options))
    vae = cast(Deployment, serve.deployment(BreakableVae, **options))
    with beside(
        server,
        APP,
        config,
        denoiser=denoiser.bind(config.model, config.engine),
        vae=vae.bind(config.model),
    ) as client:
        yield client


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_replica_that_breaks_costs_no_request(
    server: Server, breakable: httpx.Client, fault: int
) -> None:
    def post(seed: int) -> httpx.Response:
        body = BODY | {"seed": seed, "response_format": "b64_json"}
        return breakable.post(PATH, json=body)

    undisturbed = {seed: picture(post(seed)) for seed in (1, 2)}
    if fault == LOSES_ITS_VAE:
        (Once.folder / "break the Vae").touch()
    with ThreadPoolExecutor(3) as clients:
        answers = {seed: clients.submit(post, seed) for seed in (fault, *undisturbed)}
    for answer in answers.values():
        assert answer.result().status_code == 200, answer.result().text
    assert (Once.folder / str(fault)).exists(), "it broke"
    for seed, before in undisturbed.items():
        # Within a level's rounding: what shares steps differs in so much.
        assert np.abs(picture(answers[seed].result()) - before).max() <= 1
    # The one whose replica was lost says so in its line, which is written after its answer.
    awaited(lambda: retries(server, fault))
    assert retries(server, fault) >= 1


def retries(server: Server, seed: int) -> int:
    """Return how often the pictures of a seed were begun again, as the log says."""
    logs = (server.logs / "serve").glob(f"replica_{APP}_Ingress_*.log")
    lines = [json.loads(line) for file in logs for line in file.read_text().splitlines()]
    accesses = [line["access"] for line in lines if "access" in line]
    return sum(access["num_retries"] for access in accesses if access.get("seed") == seed)
