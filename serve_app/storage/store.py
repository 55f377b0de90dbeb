"""Pictures that are delivered as URLs: unguessable, and only for a while.

Image writers put and ingresses get, in processes that share nothing but the store and a key. So
every replica can make the URL of any picture, and every replica can answer it.
"""

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, Self, TypeAlias

import obstore
from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, LocalStore, ObjectStore, S3Store

from serve_app.config import StorageConfig
from serve_app.errors import OverloadedError
from serve_app.storage.links import Link, LinkSigner
from serve_app.storage.names import ObjectName
from serve_app.storage.objects import open_objects
from serve_app.storage.sweep import delete_all, sweep
from serve_app.storage.url_keys import load_url_keys

if TYPE_CHECKING:
    from obstore import Attributes, GetOptions, GetResult

logger = logging.getLogger(__name__)

Operation: TypeAlias = Literal["put", "get", "delete", "sign", "sweep"]
OnFailure: TypeAlias = Callable[[Operation], None]

CHUNK_BYTES = 1024 * 1024
UNAVAILABLE = "The image store is not available. Pictures can still be had with 'b64_json'."


def count_no_failure(operation: Operation) -> None:
    """Be told what the store failed to do, and do nothing."""


@dataclass(frozen=True, slots=True)
class StoredImage:
    """A picture that was found.

    Attributes:
        object_name: Its name in the store.
        size_bytes: Of its file.
        seconds_left: Until its link expires.
        result: obstore's answer, which holds the content or the way to it.
    """

    object_name: ObjectName
    size_bytes: int
    seconds_left: int
    result: "GetResult"

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the file piece by piece, as fast as the consumer takes it."""
        async for chunk in self.result.stream(min_chunk_size=CHUNK_BYTES):
            yield bytes(chunk)


class ImageStore:
    """A folder or a bucket, and the links into it."""

    def __init__(
        self,
        objects: ObjectStore,
        signer: LinkSigner | None,
        config: StorageConfig,
        on_failure: OnFailure = count_no_failure,
    ) -> None:
        self._objects = objects
        self._signer = signer
        self._config = config
        self._on_failure = on_failure

    @classmethod
    def open(cls, config: StorageConfig, on_failure: OnFailure = count_no_failure) -> Self:
        """Return the store of a configuration; a missing folder is made, with a key in it.

        Args:
            config: What and where it is.
            on_failure: Is told of everything that the store fails to do, what is tried again too;
                from any thread.

        Raises:
            ConfigError: It cannot be used as it is configured.
        """
        objects = open_objects(config)
        if config.bucket is not None and config.presigned:
            return cls(objects, None, config, on_failure)
        shared_folder = config.directory if config.bucket is None else None
        signer = LinkSigner(load_url_keys(shared_folder))
        return cls(objects, signer, config, on_failure)

    @property
    def object_ttl_s(self) -> float:
        """Seconds that a picture is kept."""
        return self._config.object_ttl_s

    async def put(self, content: bytes, output_format: str) -> str:
        """Keep a picture's file and return its new name.

        Raises:
            OverloadedError: The store did not take it.
        """
        async with self._available("put"):
            try:
                return await self._create(content, output_format)
            except BaseError:
                self._on_failure("put")
                # obstore does not repeat a creation that broke off, for it may have succeeded.
                # Under another name it can be; what it cost to draw the picture is worth it.
                return await self._create(content, output_format)

    def url(self, object_name: str, media_url: str) -> str:
        """Return a URL that works from now on for a while, for whoever has it.

        In a cloud this may ask for credentials over the network; not for an event loop's thread.

        Args:
            object_name: What `put` returned.
            media_url: Where clients reach `/media`, without a slash at the end.

        Raises:
            OverloadedError: The cloud did not give the credentials to sign with.
        """
        if self._signer is None:
            return self._presigned_url(object_name)
        expires_at_s = math.ceil(time.time() + self._config.url_ttl_s)
        link = Link(ObjectName.parse(object_name), expires_at_s)
        return f"{media_url}/{self._signer.sign(link)}"

    async def get(self, link_text: str, with_content: bool = True) -> StoredImage | None:
        """Return the picture that the last part of a `/media` URL leads to.

        None when the URL was altered, has expired, or its picture was deleted.

        Args:
            link_text: The last part of the URL.
            with_content: Whether `chunks` will be asked for.

        Raises:
            OverloadedError: The store did not answer.
        """
        now_s = time.time()
        link = None if self._signer is None else self._signer.verify(link_text, now_s)
        if link is None:
            return None
        path = str(link.object_name)
        options: GetOptions = {"head": not with_content}
        async with self._available("get"):
            try:
                found = await obstore.get_async(self._objects, path, options=options)
            except FileNotFoundError:
                return None
        seconds_left = int(link.expires_at_s - now_s)
        return StoredImage(link.object_name, found.meta["size"], seconds_left, found)

    async def delete(self, object_name: str) -> None:
        """Delete a picture, if it is still there; its URLs end to work.

        Raises:
            OverloadedError: The store did not answer.
        """
        async with self._available("delete"):
            await delete_all(self._objects, [str(ObjectName.parse(object_name))])

    async def sweep(self) -> int:
        """Delete the pictures that are too old and return how many that were."""
        ttl = timedelta(seconds=self._config.object_ttl_s)
        try:
            return await sweep(self._objects, datetime.now(UTC) - ttl)
        except (BaseError, OSError):
            self._on_failure("sweep")
            raise

    async def _create(self, content: bytes, output_format: str) -> str:
        name = ObjectName.new(output_format, time.time())
        await obstore.put_async(
            self._objects,
            str(name),
            content,
            attributes=self._attributes(name),
            # Several parts could not be created on condition.
            use_multipart=False,
            mode="create",
        )
        return str(name)

    def _attributes(self, name: ObjectName) -> "Attributes | None":
        """Return the headers that a bucket sends to its clients; a folder sends none."""
        if isinstance(self._objects, LocalStore):
            return None
        return {
            "Content-Type": f"image/{name.output_format}",
            "Content-Disposition": f'inline; filename="{name.file_name}"',
            "Cache-Control": f"private, max-age={int(self._config.url_ttl_s)}",
        }

    def _presigned_url(self, object_name: str) -> str:
        assert isinstance(self._objects, (AzureStore, GCSStore, S3Store))
        expires_in = timedelta(seconds=self._config.url_ttl_s)
        try:
            return obstore.sign(self._objects, "GET", object_name, expires_in)
        except (BaseError, OSError) as error:
            self._on_failure("sign")
            raise _unavailable() from error

    @asynccontextmanager
    async def _available(self, operation: Operation) -> AsyncIterator[None]:
        """Bound the time in the block, and tell the client of a store that fails or hangs."""
        try:
            async with asyncio.timeout(self._config.timeout_s):
                yield
        except (BaseError, OSError) as error:  # a TimeoutError is an OSError
            self._on_failure(operation)
            raise _unavailable() from error


def _unavailable() -> OverloadedError:
    """Return the error of a failure, which is in the log with the exception being handled."""
    logger.exception("the image store failed")
    return OverloadedError(UNAVAILABLE, reason="storage")
