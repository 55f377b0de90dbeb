"""Deletes old pictures. Any number of replicas may do so at the same time."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

import obstore
from obstore.store import ObjectStore

from serve_app.storage.names import HOUR_FORMAT, ROOT, is_object_name

NUM_PER_LISTING = 1000  # what S3 lists, and deletes, in one call


async def sweep(objects: ObjectStore, made_before: datetime) -> int:
    """Delete the pictures that were made before a time.

    Only the folders of hours up to that time are listed: in a store that is swept regularly there
    are one or two, however many pictures live.

    Returns:
        How many this call deleted, at least; other replicas may have been quicker.
    """
    num_deleted = 0
    for folder in await _folders_until(objects, made_before):
        async for found in obstore.list(objects, folder, chunk_size=NUM_PER_LISTING):
            expired = [
                each["path"]
                for each in found
                if each["last_modified"] <= made_before and is_object_name(each["path"])
            ]
            num_deleted += await delete_all(objects, expired)
    return num_deleted


async def delete_all(objects: ObjectStore, paths: list[str]) -> int:
    """Delete the objects that are still there and return how many, as far as the store tells."""
    if not paths:
        return 0
    try:
        await obstore.delete_async(objects, paths)
    except FileNotFoundError:
        # Another replica is at the same folder. One by one, each of them gets through it.
        return sum([await _delete(objects, path) for path in paths])
    return len(paths)


async def _folders_until(objects: ObjectStore, until: datetime) -> list[str]:
    """Return the folders of all hours up to a time, walking down year, month, day and hour."""
    last = f"{ROOT}/{until.strftime(HOUR_FORMAT)}"
    folders = [ROOT]
    for _ in HOUR_FORMAT.split("/"):
        inner = [child for folder in folders for child in await _children(objects, folder)]
        # Names of one depth are equally long, so that their order is that of time.
        folders = [child for child in inner if child <= last[: len(child)]]
    return folders


async def _children(objects: ObjectStore, folder: str) -> Sequence[str]:
    listed = await obstore.list_with_delimiter_async(objects, folder)
    return listed["common_prefixes"]


async def _delete(objects: ObjectStore, path: str) -> bool:
    with suppress(FileNotFoundError):
        await obstore.delete_async(objects, path)
        return True
    return False
