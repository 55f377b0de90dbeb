"""Who hangs up is not denoised for any longer."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
from ray import serve

from serve_app.engine.stats import EngineStats
from tests.integration.conftest import Server

# As large as it gets: a step takes longer than the news of a disconnect.
BODY = {"prompt": "a red circle on a blue background", "size": "2048x2048", "steps": 50}
PATIENCE_S = 120


Stats = Callable[[], Awaitable[EngineStats]]


@pytest.fixture
async def stats(server: Server) -> AsyncIterator[Stats]:
    """What asks the denoiser how it stands."""
    handle = serve.get_deployment_handle("Denoiser", app_name="krea-serve")

    async def ask() -> EngineStats:
        answer: EngineStats = await handle.stats.remote()
        return answer

    yield ask
    await handle.shutdown_async()


async def until_steps(stats: Stats, count: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while (await stats()).num_steps < count:
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("stream", [False, True])
async def test_at_most_one_step_runs_after_a_disconnect(
    server: Server, stats: Stats, stream: bool
) -> None:
    before = await stats()
    async with httpx.AsyncClient(base_url=server.url, timeout=PATIENCE_S) as client:
        body = BODY | {"stream": stream, "response_format": "b64_json"}
        asking = asyncio.create_task(client.post("/v1/images/generations", json=body))
        await until_steps(stats, before.num_steps + 3)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    at_disconnect = (await stats()).num_steps
    started = time.monotonic()
    while (now := await stats()).num_jobs > 0:
        await asyncio.sleep(0.02)
        assert time.monotonic() - started < PATIENCE_S

    assert now.num_steps - at_disconnect <= 1
    assert now.num_steps < before.num_steps + BODY["steps"]  # type: ignore[operator]
