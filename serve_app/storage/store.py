"""Pictures that are delivered as URLs: objects under unguessable names that expire.

The image writer puts and the ingress gets, in processes that share nothing but the store. Every
access goes through obstore, so that a bucket can take the place of the folder.
"""

import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import Self

import obstore
from obstore.store import LocalStore, ObjectStore

from serve_app.config import StorageConfig

NUM_RANDOM_BYTES = 16
# Nothing else is ever looked up: no folder, no parent, no file that this store did not name.
OBJECT_NAME = re.compile(rf"[0-9a-f]{{{2 * NUM_RANDOM_BYTES}}}\.[a-z0-9]{{1,8}}")


class ImageStore:
    """Files by random name, each readable for `ttl_s` seconds after it was put."""

    def __init__(self, objects: ObjectStore, ttl_s: float) -> None:
        self._objects = objects
        self._ttl = timedelta(seconds=ttl_s)

    @classmethod
    def open(cls, config: StorageConfig) -> Self:
        """Return the store of a configuration; its folder is made if it is missing."""
        # Whoever lists the folder can download every picture, so only its owner may.
        config.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return cls(LocalStore(config.directory), config.ttl_s)

    async def put(self, content: bytes, extension: str) -> str:
        """Keep a file and return its new name, which holds 128 random bits."""
        name = f"{secrets.token_hex(NUM_RANDOM_BYTES)}.{extension}"
        await obstore.put_async(self._objects, name, content)
        return name

    async def get(self, name: str) -> bytes | None:
        """Return a file, or None when there is none of that name, or no longer."""
        if not OBJECT_NAME.fullmatch(name):
            return None
        try:
            found = await obstore.get_async(self._objects, name)
            if self._is_expired(found.meta["last_modified"]):
                return None
            return bytes(await found.bytes_async())
        except FileNotFoundError:
            return None

    async def sweep(self) -> int:
        """Delete what has expired and return how many files that were."""
        num_deleted = 0
        async for chunk in obstore.list(self._objects):
            for found in chunk:
                if self._is_expired(found["last_modified"]):
                    num_deleted += await self._delete(found["path"])
        return num_deleted

    async def _delete(self, name: str) -> bool:
        try:
            await obstore.delete_async(self._objects, name)
        except FileNotFoundError:
            # Another process sweeps the same store.
            return False
        return True

    def _is_expired(self, last_modified: datetime) -> bool:
        return datetime.now(UTC) - last_modified >= self._ttl
