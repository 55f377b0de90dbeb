"""The image store: a real folder, as two processes share it."""

import os
import re
import time
from pathlib import Path

import pytest

from serve_app.config import StorageConfig
from serve_app.storage.store import ImageStore

TTL_S = 60


@pytest.fixture
def config(tmp_path: Path) -> StorageConfig:
    return StorageConfig(directory=tmp_path / "deep" / "media", ttl_s=TTL_S)


@pytest.fixture
def store(config: StorageConfig) -> ImageStore:
    return ImageStore.open(config)


def make_older(config: StorageConfig, name: str, seconds: float) -> None:
    when = time.time() - seconds
    os.utime(config.directory / name, (when, when))


async def test_what_is_put_can_be_got_by_another_process(
    store: ImageStore, config: StorageConfig
) -> None:
    name = await store.put(b"picture", "png")
    assert await ImageStore.open(config).get(name) == b"picture"


async def test_names_cannot_be_guessed(store: ImageStore) -> None:
    names = {await store.put(b"same", "webp") for _ in range(50)}
    assert len(names) == 50
    assert all(re.fullmatch(r"[0-9a-f]{32}\.webp", name) for name in names)


async def test_a_picture_expires(store: ImageStore, config: StorageConfig) -> None:
    name = await store.put(b"picture", "png")
    make_older(config, name, TTL_S - 5)
    assert await store.get(name) == b"picture"
    make_older(config, name, TTL_S + 1)
    assert await store.get(name) is None


async def test_sweeping_deletes_what_expired_and_nothing_else(
    store: ImageStore, config: StorageConfig
) -> None:
    old, new = await store.put(b"old", "png"), await store.put(b"new", "png")
    make_older(config, old, TTL_S + 1)
    assert await store.sweep() == 1
    assert [path.name for path in config.directory.iterdir()] == [new]
    assert await store.sweep() == 0


@pytest.mark.parametrize(
    "name",
    [
        "",
        "..",
        "../secret.png",
        "%2e%2e%2fsecret.png",
        "/etc/passwd",
        f"{'0' * 32}.png",
        f"{'0' * 32}.png/..",
        f"{'0' * 32}.png\n",
        f"{'0' * 31}\0.png",
        f"sub/{'0' * 32}.png",
    ],
)
async def test_no_other_name_leads_anywhere(
    store: ImageStore, config: StorageConfig, name: str
) -> None:
    (config.directory.parent / "secret.png").write_bytes(b"secret")
    assert await store.get(name) is None


async def test_a_file_that_the_store_did_not_name_is_not_served(
    store: ImageStore, config: StorageConfig
) -> None:
    (config.directory / "notes.txt").write_bytes(b"private")
    assert await store.get("notes.txt") is None


def test_only_the_owner_can_list_the_folder(store: ImageStore, config: StorageConfig) -> None:
    assert config.directory.stat().st_mode & 0o077 == 0
