"""The contract's own requests, run by its own runner, where its folder is at hand."""

import asyncio
import importlib.util
import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.unit.api.conftest import MakeApp

CONTRACT_DIR = Path(__file__).parents[4] / "shared" / "api"
KEY = "sk-vectors"


class ServeProxy:
    """What stands before the app in Ray Serve: it appends an `x-request-id` to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append((b"x-request-id", b"0123456789abcdef"))
            await send(message)

        await self.app(scope, receive, send_with_id)


class InProcess(httpx.BaseTransport):
    """Lets the runner, which is synchronous, talk to the app on the event loop of the test."""

    def __init__(self, app: ASGIApp, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = httpx.ASGITransport(app)
        self._loop = loop

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        return asyncio.run_coroutine_threadsafe(self._answer(request), self._loop).result()

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        response = await self._transport.handle_async_request(request)
        content = await response.aread()
        return httpx.Response(response.status_code, headers=response.headers, content=content)


def cases() -> list[Any]:
    file = CONTRACT_DIR / "vectors.json"
    if not file.is_file():
        return []
    vectors = json.loads(file.read_text(encoding="utf-8"))["vectors"]
    return [pytest.param(vector, id=vector["name"]) for vector in vectors]


@pytest.fixture(scope="module")
def runner() -> ModuleType:
    spec = importlib.util.spec_from_file_location("run_vectors", CONTRACT_DIR / "run_vectors.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
async def http(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx.Client]:
    app = ServeProxy(make_app(api_key=KEY))
    transport = InProcess(app, asyncio.get_running_loop())
    with httpx.Client(transport=transport, base_url="http://krea.test") as client:
        # The runner downloads pictures as a stranger does, without the client and its key.
        monkeypatch.setattr(httpx, "get", client.get)
        yield client


@pytest.mark.parametrize("vector", cases())
async def test_vector(vector: dict[str, Any], http: httpx.Client, runner: ModuleType) -> None:
    assert await asyncio.to_thread(runner.run, http, vector, KEY) == []
