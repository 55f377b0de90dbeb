"""The image writer delivers exact sizes as bytes or by name, and deletes what has expired."""

import asyncio
import io
from pathlib import Path

import numpy as np
from PIL import Image

from serve_app.config import StorageConfig
from serve_app.deployments.image_writer import ImageWriter
from serve_app.messages import Delivery, Pixels, PromptFacts, Size, WriteParams
from serve_app.storage.store import ImageStore

FACTS = PromptFacts(num_tokens=9, is_truncated=False)
PIXELS = Pixels(np.random.default_rng(0).integers(0, 255, (320, 320, 3), dtype=np.uint8), FACTS)


def params(delivery: Delivery) -> WriteParams:
    return WriteParams(Size(300, 280), "png", 100, delivery)


async def test_as_bytes_nothing_is_stored(tmp_path: Path) -> None:
    written = await ImageWriter(StorageConfig(directory=tmp_path)).write(PIXELS, params("b64_json"))
    assert written.content is not None
    with Image.open(io.BytesIO(written.content)) as picture:
        assert np.array_equal(np.asarray(picture), PIXELS.array[20:300, 10:310])
    assert written.object_name is None
    assert written.facts == FACTS
    assert list(tmp_path.iterdir()) == []


async def test_as_a_url_another_process_can_read_it(tmp_path: Path) -> None:
    config = StorageConfig(directory=tmp_path)
    written = await ImageWriter(config).write(PIXELS, params("url"))
    assert written.content is None
    assert written.object_name is not None
    content = await ImageStore.open(config).get(written.object_name)
    assert content is not None
    with Image.open(io.BytesIO(content)) as picture:
        assert (picture.format, picture.size) == ("PNG", (300, 280))


async def test_expired_pictures_are_deleted(tmp_path: Path) -> None:
    config = StorageConfig(directory=tmp_path, ttl_s=0.2, sweep_period_s=0.05)
    writer = ImageWriter(config)
    await writer.write(PIXELS, params("url"))
    assert len(list(tmp_path.iterdir())) == 1
    async with asyncio.timeout(20):
        while list(tmp_path.iterdir()):
            await asyncio.sleep(0.05)
