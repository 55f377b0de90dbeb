"""The image writer as a Serve deployment: CPU replicas, so that no GPU waits for a PNG."""

import asyncio
import logging

from obstore.exceptions import BaseError

from serve_app.config import StorageConfig
from serve_app.imaging.codecs import encode
from serve_app.imaging.fit import fit
from serve_app.messages import Pixels, WriteParams, WrittenImage
from serve_app.storage.store import ImageStore

logger = logging.getLogger(__name__)


class ImageWriter:
    """Cuts a canvas to the size that was asked for, compresses it, stores it."""

    def __init__(self, storage: StorageConfig) -> None:
        self._images = ImageStore.open(storage)
        self._sweeper = asyncio.get_running_loop().create_task(self._sweep(storage.sweep_period_s))

    async def write(self, pixels: Pixels, params: WriteParams) -> WrittenImage:
        """Return the finished picture, as bytes or as the name it is stored under."""
        content = await asyncio.to_thread(compress, pixels, params)
        stored = params.delivery == "url"
        name = await self._images.put(content, params.output_format) if stored else None
        return WrittenImage(
            output=params.output,
            output_format=params.output_format,
            content=None if stored else content,
            object_name=name,
            facts=pixels.facts,
        )

    async def _sweep(self, period_s: float) -> None:
        """Delete what has expired, for as long as the replica lives."""
        while True:
            try:
                await self._images.sweep()
            except (OSError, BaseError):
                # Tried again in a while; an expired picture is not served meanwhile.
                logger.exception("the image store could not be swept")
            await asyncio.sleep(period_s)


def compress(pixels: Pixels, params: WriteParams) -> bytes:
    """Return the file of a picture."""
    picture = fit(pixels.array, params.output)
    return encode(picture, params.output_format, params.output_compression)
