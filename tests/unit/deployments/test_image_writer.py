"""The image writer delivers exact sizes as bytes or by name, and deletes what has expired."""

import asyncio
import io
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from serve_app.config import ProvenanceConfig, StorageConfig
from serve_app.deployments.image_writer import ImageWriter
from serve_app.errors import ContentPolicyError, OverloadedError
from serve_app.messages import Delivery, Pixels, PromptFacts, Size, Verdict, WriteParams
from serve_app.storage.store import ImageStore
from tests.unit.deployments.conftest import Readings

FACTS = PromptFacts(num_tokens=9, is_truncated=False)
PIXELS = Pixels(np.random.default_rng(0).integers(0, 255, (320, 320, 3), dtype=np.uint8), FACTS)


def params(delivery: Delivery) -> WriteParams:
    return WriteParams(Size(300, 280), "png", 100, delivery, seed=7)


def writer(storage: StorageConfig) -> ImageWriter:
    return ImageWriter(storage, ProvenanceConfig())


def stored_files(directory: Path) -> list[Path]:
    return [path for path in (directory / "images").rglob("*") if path.is_file()]


async def test_as_bytes_nothing_is_stored(tmp_path: Path) -> None:
    written = await writer(StorageConfig(directory=tmp_path)).write(PIXELS, params("b64_json"))
    assert written.content is not None
    with Image.open(io.BytesIO(written.content)) as picture:
        assert np.array_equal(np.asarray(picture), PIXELS.array[20:300, 10:310])
    assert written.object_name is None
    assert written.facts == FACTS
    assert stored_files(tmp_path) == []


async def test_as_a_url_another_process_can_read_it(tmp_path: Path) -> None:
    config = StorageConfig(directory=tmp_path)
    written = await writer(config).write(PIXELS, params("url"))
    assert written.content is None
    assert written.object_name is not None
    images = ImageStore.open(config)
    found = await images.get(images.url(written.object_name, "/media").rpartition("/")[2])
    assert found is not None
    content = b"".join([chunk async for chunk in found.chunks()])
    with Image.open(io.BytesIO(content)) as picture:
        assert (picture.format, picture.size) == ("PNG", (300, 280))


async def test_expired_pictures_are_deleted(tmp_path: Path) -> None:
    config = StorageConfig(directory=tmp_path, url_ttl_s=0.2, object_ttl_s=0.2, sweep_period_s=0.05)
    await writer(config).write(PIXELS, params("url"))
    assert len(stored_files(tmp_path)) == 1
    async with asyncio.timeout(20):
        while stored_files(tmp_path):
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("delivery", ["url", "b64_json"])
async def test_a_flagged_picture_is_neither_stored_nor_returned(
    tmp_path: Path, delivery: Delivery
) -> None:
    images = writer(StorageConfig(directory=tmp_path))
    with pytest.raises(ContentPolicyError):
        await images.write(PIXELS, params(delivery), Verdict(is_flagged=True))
    assert stored_files(tmp_path) == []
    await images.write(PIXELS, params(delivery), Verdict(is_flagged=False))


@pytest.mark.parametrize("is_enabled", [True, False])
async def test_the_file_says_where_it_comes_from(tmp_path: Path, is_enabled: bool) -> None:
    images = ImageWriter(StorageConfig(directory=tmp_path), ProvenanceConfig(enabled=is_enabled))
    asked = replace(params("b64_json"), seed=1234567)
    content = (await images.write(PIXELS, asked)).content
    assert content is not None
    assert (b'krea:seed="1234567"' in content) is is_enabled
    assert (b"flux.1-krea-dev" in content) is is_enabled


async def test_what_the_store_does_not_take_is_counted(tmp_path: Path, readings: Readings) -> None:
    images = writer(StorageConfig(directory=tmp_path))
    await images.write(PIXELS, params("url"))
    assert readings.of("krea_serve_storage_errors") == {}
    shutil.rmtree(tmp_path / "images")
    (tmp_path / "images").write_text("in the way")
    with pytest.raises(OverloadedError):
        await images.write(PIXELS, params("url"))
    # Once, and once more under another name.
    assert readings.of("krea_serve_storage_errors") == {("put",): 2}
