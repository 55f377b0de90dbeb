"""A client's picture or mask, wherever it lies, to checked pixels."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from serve_app.api.bodies.uploaded_file import UploadedFile
from serve_app.api.input_images.data_uris import decode_data_uri, is_data_uri
from serve_app.api.input_images.field import ImageSource
from serve_app.api.input_images.pixels import read_image, read_mask
from serve_app.errors import InvalidRequestError
from serve_app.messages import Size

# One thread: many large pictures at once would need gigabytes, and `open_image` has to be alone.
_DECODER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="image-decoder")


@dataclass(frozen=True, slots=True)
class ImageReader:
    """Makes pixels of what `ImageField` has read.

    Attributes:
        max_file_bytes: Of a picture in a data URI.
        fetch: Returns the file at a URL, for a field; None where the operator allows no URLs.
    """

    max_file_bytes: int
    fetch: Callable[[str, str], Awaitable[bytes]] | None

    async def image(self, source: ImageSource) -> np.ndarray:
        """Return the picture to edit; `read_image` says how."""
        content = await self._content("image", source)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(_DECODER, read_image, "image", content)

    async def mask(self, source: ImageSource, image_size: Size) -> np.ndarray:
        """Return where it is edited; `read_mask` says how."""
        content = await self._content("mask", source)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(_DECODER, read_mask, content, image_size)

    async def _content(self, field: str, source: ImageSource) -> bytes:
        if isinstance(source, UploadedFile):
            return source.content
        if is_data_uri(source.url):
            return await asyncio.to_thread(decode_data_uri, field, source.url, self.max_file_bytes)
        if self.fetch is None:
            raise InvalidRequestError(
                f"'{field}' cannot be a URL on this server. Send the file or a data URI.", field
            )
        return await self.fetch(field, source.url)
