"""A request goes to the denoiser that would end it first."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from ray import serve
from ray.serve import Deployment
from ray.serve.config import RequestRouterConfig
from ray.serve.handle import DeploymentHandle

from serve_app.config import AppConfig
from serve_app.deployments.denoiser import Denoiser
from serve_app.deployments.ingress import Ingress
from serve_app.engine.stats import EngineStats
from serve_app.model_facts import read_model_facts
from serve_app.routing.serve_router import WorkRouter
from tests.integration.conftest import Server, own_places, stage_handles

APP = "routed"
PATH = "/v1/images/generations"
PROMPT = "a red circle on a blue background"
LONG = {"prompt": PROMPT, "size": "2048x2048", "steps": 50}
SHORT = {"prompt": PROMPT, "size": "256x256", "steps": 4}
PATIENCE_S = 120
REPORTS_EVERY_S = 0.25
UNTIL_HEARD_S = 3 * REPORTS_EVERY_S  # until the routers know what the denoisers have


@pytest.fixture
async def routed(
    server: Server, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[httpx.AsyncClient]:
    """An ingress before two denoisers of its own and the other stages of the application."""
    config = AppConfig.model_validate(own_places(tmp_path_factory.mktemp("routed")))
    little: dict[str, object] = {
        "ray_actor_options": {"num_cpus": 0.1},
        "max_ongoing_requests": 64,
    }
    by_work = RequestRouterConfig(
        request_router_class=f"{WorkRouter.__module__}:{WorkRouter.__name__}",
        request_routing_stats_period_s=REPORTS_EVERY_S,
    )
    denoiser: Deployment = serve.deployment(
        Denoiser, num_replicas=2, request_router_config=by_work, **little
    )
    ingress: Deployment = serve.deployment(Ingress, **little)
    app = ingress.bind(
        config,
        read_model_facts(config.model.directory),
        denoiser=denoiser.bind(config.model, config.engine),
        **stage_handles(without="denoiser"),
    )
    await asyncio.to_thread(serve.run, app, name=APP, route_prefix=f"/{APP}")
    async with httpx.AsyncClient(base_url=f"{server.url}/{APP}", timeout=PATIENCE_S) as client:
        yield client
    await asyncio.to_thread(serve.delete, APP)


async def all_stats() -> list[EngineStats]:
    handle: DeploymentHandle[Denoiser] = serve.get_deployment_handle("Denoiser", app_name=APP)
    answers: list[EngineStats] = await handle.broadcast("stats").results_async()
    return sorted(answers, key=lambda stats: stats.left_s)


async def test_short_requests_go_past_a_long_one(routed: httpx.AsyncClient) -> None:
    long = asyncio.create_task(routed.post(PATH, json=LONG))
    async with asyncio.timeout(PATIENCE_S):
        while (await all_stats())[-1].num_steps == 0:
            await asyncio.sleep(0.1)
    await asyncio.sleep(UNTIL_HEARD_S)
    before = await all_stats()
    assert before[0].left_s < before[1].left_s
    for _ in range(5):
        assert (await routed.post(PATH, json=SHORT)).status_code == 200
        # A report that was made meanwhile still has that one in it, as if it went before the next.
        await asyncio.sleep(UNTIL_HEARD_S)
    after = await all_stats()
    assert not long.done()
    assert after[0].num_picture_steps - before[0].num_picture_steps == 5 * 4
    # Several calls of one request are routed at once, and none waits for the others for ever.
    answer = await routed.post(PATH, json=SHORT | {"n": 4})
    assert len(answer.json()["data"]) == 4
    long.cancel()
