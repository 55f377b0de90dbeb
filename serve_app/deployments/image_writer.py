"""The image writer as a Serve deployment: CPU replicas, so that no GPU waits for a PNG."""

import asyncio
import logging
import time

from obstore.exceptions import BaseError

from serve_app.config import ProvenanceConfig, StorageConfig
from serve_app.deployments.logs import log_through_serve
from serve_app.deployments.stage_clock import StageClock
from serve_app.deployments.storage_metrics import StorageMetrics
from serve_app.errors import ContentPolicyError
from serve_app.imaging.blend import keep_protected
from serve_app.imaging.fit import fit
from serve_app.imaging.metadata import Origin
from serve_app.imaging.provenance import Provenance
from serve_app.messages import Pixels, Verdict, WriteParams, WrittenImage
from serve_app.model_facts import MODEL_ID
from serve_app.storage.store import ImageStore

logger = logging.getLogger(__name__)


class ImageWriter:
    """Cuts a canvas to the size that was asked for, marks its origin, compresses it, stores it."""

    def __init__(self, storage: StorageConfig, provenance: ProvenanceConfig) -> None:
        log_through_serve()
        self._provenance = Provenance.open(provenance)
        self._clock = StageClock()
        self._images = ImageStore.open(storage, StorageMetrics().failed)
        self._sweeper = asyncio.get_running_loop().create_task(self._sweep(storage.sweep_period_s))

    async def write(
        self, pixels: Pixels, params: WriteParams, verdict: Verdict | None = None
    ) -> WrittenImage:
        """Return the finished picture, as bytes or as the name it is stored under.

        Args:
            pixels: The canvas.
            params: What it shall be.
            verdict: The safety checker's, if it was asked.

        Raises:
            ContentPolicyError: The picture was flagged; nothing is stored.
            OverloadedError: The image store did not take it.
        """
        if verdict is not None and verdict.is_flagged:
            raise ContentPolicyError
        with self._clock.timing("write") as timing:
            content = await asyncio.to_thread(compress, pixels, params, self._provenance)
        spent, name = pixels.spent + timing.spent, None
        if stored := params.delivery == "url":
            with self._clock.timing("store") as timing:
                name = await self._images.put(content, params.output_format)
            spent += timing.spent
        return WrittenImage(
            output=params.output,
            output_format=params.output_format,
            content=None if stored else content,
            object_name=name,
            size_bytes=len(content),
            facts=pixels.facts,
            is_preview=pixels.is_preview,
            spent=spent,
        )

    async def check_health(self) -> None:
        """Return once a thread is free to compress: without one Serve's check runs out of time."""
        await asyncio.to_thread(time.monotonic)

    async def _sweep(self, period_s: float) -> None:
        """Delete what has expired, for as long as the replica lives."""
        while True:
            try:
                await self._images.sweep()
            except (OSError, BaseError):
                # Tried again in a while; an expired picture is not served meanwhile.
                logger.exception("the image store could not be swept")
            await asyncio.sleep(period_s)


def compress(pixels: Pixels, params: WriteParams, provenance: Provenance) -> bytes:
    """Return the file of a picture."""
    picture = fit(pixels.array, params.output)
    if params.protected is not None and params.protected.mask is not None:
        picture = keep_protected(picture, params.protected.picture, params.protected.mask)
    origin = Origin(MODEL_ID, params.seed, params.is_edit)
    return provenance.file_of(picture, params.output_format, params.output_compression, origin)
