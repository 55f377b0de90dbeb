"""The whole HTTP surface in this process, with a drawing where the model would be."""

import shutil
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from serve_app.api.app import create_app
from serve_app.api.input_images.source import image_reader
from serve_app.api.observed import NoObserver, Observer
from serve_app.api.services import Services
from serve_app.config import ApiConfig, StorageConfig
from serve_app.limits.admission import Gatekeeper, NoLimits
from serve_app.messages import Features
from serve_app.model_facts import ModelFacts
from serve_app.records.records import Records
from serve_app.storage.store import ImageStore
from tests.unit.api.drawing import Drawing
from tests.unit.records.databases import sqlite_config

BASE_URL = "http://krea.test"

MakeApp = Callable[..., Starlette]
MakeClient = Callable[..., httpx.AsyncClient]


@pytest.fixture
def drawing(tmp_path: Path) -> Drawing:
    return Drawing(ImageStore.open(StorageConfig(directory=tmp_path / "media")))


@pytest.fixture
def records_file(migrated_file: Path, tmp_path: Path) -> Path:
    """The database that all servers of a test share."""
    return Path(shutil.copy(migrated_file, tmp_path / "records.db"))


@pytest.fixture
async def make_app(
    drawing: Drawing, records_file: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[MakeApp]:
    """A server with the given configuration, key and canvas multiple."""
    opened: list[Records] = []

    def make(
        api_key: str | None = None,
        canvas_multiple: int = 16,
        has_safety_checker: bool = False,
        has_go_fast: bool = False,
        lora_names: Iterable[str] = (),
        gatekeeper: Gatekeeper | None = None,
        observer: Observer | None = None,
        **config: Any,
    ) -> Starlette:
        limits = ApiConfig(**config)
        with monkeypatch.context() as environment:
            if api_key is not None:
                environment.setenv("KREA_SERVE_API_KEY", api_key)
            records = Records.open(sqlite_config(records_file))
        opened.append(records)
        services = Services(
            config=limits,
            facts=ModelFacts(canvas_multiple, max_sequence_length=512),
            generate=drawing.generate,
            stream=drawing.stream,
            is_ready=drawing.ready,
            images=drawing.images,
            image_reader=image_reader(limits),
            features=Features(has_safety_checker, has_go_fast, frozenset(lora_names)),
            records=records,
            gatekeeper=gatekeeper or NoLimits(),
            observer=observer or NoObserver(),
        )
        return create_app(services)

    yield make
    for records in opened:
        await records.close()


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
