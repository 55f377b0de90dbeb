"""Stores of every kind: a folder, and a bucket of a real S3 protocol server on this machine."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from serve_app.config import StorageConfig
from serve_app.storage.store import ImageStore

if TYPE_CHECKING:
    from moto.server import ThreadedMotoServer

ACCESS_KEY, SECRET_KEY = "AKIDEXAMPLE", "a-secret-of-the-tests"
BUCKET = "pictures"
URL_KEY = "0123456789abcdef" * 4
CLOUD_VARIABLES = ("AWS_", "AZURE_", "GOOGLE_")


@dataclass(frozen=True)
class S3:
    """A running server.

    Attributes:
        server: moto's.
        port: Where it listens.
    """

    server: "ThreadedMotoServer"
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def config(self, folder: str, endpoint: str | None = None, **options: Any) -> StorageConfig:
        """Return the configuration of a folder of the bucket."""
        return StorageConfig(
            bucket=f"s3://{BUCKET}/{folder}",
            bucket_options={
                "endpoint": endpoint or self.url,
                "region": "eu-central-1",
                "access_key_id": ACCESS_KEY,
                "secret_access_key": SECRET_KEY,
            },
            **options,
        )


@pytest.fixture(autouse=True)
def _no_cloud_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(CLOUD_VARIABLES):
            monkeypatch.delenv(name)


def start_s3() -> S3:
    """Start a server with an empty bucket."""
    # Imported late: it takes a second or more, and most tests need no bucket.
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    s3 = S3(server, server.get_host_and_port()[1])
    httpx.put(f"{s3.url}/{BUCKET}").raise_for_status()
    return s3


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    started = start_s3()
    yield started
    started.server.stop()


@pytest.fixture
def folder_config(tmp_path: Path) -> StorageConfig:
    return StorageConfig(directory=tmp_path / "deep" / "media")


@pytest.fixture(params=["folder", "bucket"])
def config(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> StorageConfig:
    """A store whose pictures are delivered through `/media`."""
    if request.param == "folder":
        found: StorageConfig = request.getfixturevalue("folder_config")
        return found
    monkeypatch.setenv("KREA_SERVE_URL_KEYS", URL_KEY)
    s3: S3 = request.getfixturevalue("s3")
    return s3.config(tmp_path.name, presigned=False)


@pytest.fixture
def store(config: StorageConfig) -> ImageStore:
    return ImageStore.open(config)


async def content_of(store: ImageStore, url: str) -> bytes | None:
    """Return what a `/media` URL leads to."""
    image = await store.get(url.rpartition("/")[2])
    return None if image is None else b"".join([chunk async for chunk in image.chunks()])
