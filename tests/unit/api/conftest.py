"""The whole HTTP surface in this process, with a drawing where the model would be."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from serve_app.api.app import create_app
from serve_app.api.services import Services
from serve_app.config import ApiConfig, StorageConfig
from serve_app.model_facts import ModelFacts
from serve_app.storage.store import ImageStore
from tests.unit.api.drawing import Drawing

BASE_URL = "http://krea.test"

MakeApp = Callable[..., Starlette]
MakeClient = Callable[..., httpx.AsyncClient]


@pytest.fixture
def drawing(tmp_path: Path) -> Drawing:
    return Drawing(ImageStore.open(StorageConfig(directory=tmp_path / "media")))


@pytest.fixture
def make_app(drawing: Drawing) -> MakeApp:
    """A server with the given configuration, key and canvas multiple."""

    def make(api_key: str | None = None, canvas_multiple: int = 16, **config: Any) -> Starlette:
        services = Services(
            config=ApiConfig(**config),
            facts=ModelFacts(canvas_multiple, max_sequence_length=512),
            generate=drawing.generate,
            is_ready=drawing.ready,
            images=drawing.images,
            api_key=api_key,
        )
        return create_app(services)

    return make


@pytest.fixture
def make_client(make_app: MakeApp) -> MakeClient:
    """A client of such a server."""

    def make(**options: Any) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(make_app(**options))
        return httpx.AsyncClient(transport=transport, base_url=BASE_URL)

    return make


@pytest.fixture
async def client(make_client: MakeClient) -> AsyncIterator[httpx.AsyncClient]:
    async with make_client() as client:
        yield client
