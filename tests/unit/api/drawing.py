"""A pipeline without a model: it draws a gradient, and fits, compresses and stores it for real."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace

import numpy as np

from serve_app.deadline import Deadline
from serve_app.imaging.codecs import encode
from serve_app.imaging.fit import fit
from serve_app.messages import GenerationParams, GenerationResult, PromptFacts, Size, WrittenImage
from serve_app.spent import Spent
from serve_app.storage.store import ImageStore

NUM_TOKENS = 7
SPENT = Spent(queue_s=0.0015, encode_image_s=0.02, denoise_s=1.25)


@dataclass
class Drawing:
    """Remembers what it was asked for; `failure` is raised instead of drawing."""

    images: ImageStore
    asked: list[GenerationParams] = field(default_factory=list)
    failure: BaseException | None = None
    is_truncated: bool = False
    is_ready: bool = True
    is_endless: bool = False
    started: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def last(self) -> GenerationParams:
        return self.asked[-1]

    async def generate(self, params: GenerationParams, deadline: Deadline) -> GenerationResult:
        self.asked.append(params)
        self.started.set()
        if self.is_endless:
            async with deadline.kept():
                await asyncio.Event().wait()
        if self.failure is not None:
            raise self.failure
        drawn = [await self._write(params, index) for index in range(params.num_images)]
        return GenerationResult(tuple(drawn))

    async def stream(
        self, params: GenerationParams, deadline: Deadline
    ) -> AsyncGenerator[WrittenImage]:
        self.asked.append(params)
        self.started.set()
        for _ in range(params.num_previews):
            yield replace(await self._write(params, 0), is_preview=True)
        if self.is_endless:
            async with deadline.kept():
                await asyncio.Event().wait()
        if self.failure is not None:
            raise self.failure
        yield await self._write(params, 0)

    async def ready(self) -> bool:
        return self.is_ready

    async def _write(self, params: GenerationParams, index: int) -> WrittenImage:
        picture = fit(gradient(params.canvas, params.image_seed(index)), params.output)
        if params.input_image is not None and params.input_image.strength == 0:
            picture = params.input_image.picture
        content = encode(picture, params.output_format, params.output_compression)
        is_stored = params.delivery == "url"
        return WrittenImage(
            output=params.output,
            output_format=params.output_format,
            content=None if is_stored else content,
            object_name=await self.images.put(content, params.output_format) if is_stored else None,
            size_bytes=len(content),
            facts=PromptFacts(num_tokens=NUM_TOKENS, is_truncated=self.is_truncated),
            spent=SPENT,
        )


def gradient(canvas: Size, seed: int) -> np.ndarray:
    """Return a picture that differs in every corner, and by seed."""
    down = np.linspace(0, 255, canvas.height)[:, None]
    across = np.linspace(0, 255, canvas.width)[None, :]
    red, green = down + 0 * across, across + 0 * down
    return np.stack([red, green, np.full_like(red, seed % 256)], axis=-1).astype(np.uint8)
