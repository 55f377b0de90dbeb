"""The contract's own requests, run by its own runner, where its folder is at hand."""

import asyncio
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.unit.api.conftest import MakeApp

CONTRACT_DIR = Path(__file__).parents[4] / "shared" / "api"
KEY = "sk-vectors"

# What is not built yet. Each entry must fail: whoever builds it takes it off this list.
LATER = {
    "gen-avif": "avif is not encoded yet",
    "img2img-": "image input is not built yet",
    "stream-": "streaming is not built yet",
    "edit-": "the edits route is not built yet",
    "requests-list": "the request history is not built yet",
    "requests-limit-101": "the request history is not built yet",
}


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
    """Lets the runner's synchronous client talk to the app in this process."""

    def __init__(self, app: ASGIApp) -> None:
        self._transport = httpx.ASGITransport(app)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        return asyncio.run(self._answer(request))

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        response = await self._transport.handle_async_request(request)
        content = await response.aread()
        return httpx.Response(response.status_code, headers=response.headers, content=content)


def cases() -> list[Any]:
    file = CONTRACT_DIR / "vectors.json"
    if not file.is_file():
        return []
    vectors = json.loads(file.read_text(encoding="utf-8"))["vectors"]
    return [pytest.param(vector, id=vector["name"], marks=marks(vector)) for vector in vectors]


def marks(vector: dict[str, Any]) -> list[pytest.MarkDecorator]:
    reasons = [why for prefix, why in LATER.items() if vector["name"].startswith(prefix)]
    return [pytest.mark.xfail(reason=why, strict=True) for why in reasons]


@pytest.fixture(scope="module")
def runner() -> ModuleType:
    spec = importlib.util.spec_from_file_location("run_vectors", CONTRACT_DIR / "run_vectors.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def http(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    transport = InProcess(ServeProxy(make_app(api_key=KEY)))
    with httpx.Client(transport=transport, base_url="http://krea.test") as client:
        # The runner downloads pictures as a stranger does, without the client and its key.
        monkeypatch.setattr(httpx, "get", client.get)
        yield client


@pytest.mark.parametrize("vector", cases())
def test_vector(vector: dict[str, Any], http: httpx.Client, runner: ModuleType) -> None:
    assert runner.run(http, vector, KEY) == []
