"""Sweeping: what is old goes, all else stays, whoever else sweeps."""

import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from obstore.store import LocalStore, MemoryStore

from serve_app.storage.names import ObjectName
from serve_app.storage.sweep import delete_all, sweep

NOW = datetime(2026, 3, 1, 0, 30, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def objects(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path, automatic_cleanup=True)


def make(folder: Path, made_at: datetime) -> str:
    """Put a picture of some age into the folder."""
    name = str(ObjectName.new("png", made_at.timestamp()))
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"picture")
    os.utime(file, (made_at.timestamp(),) * 2)
    return name


def files(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize(
    ("age", "is_deleted"),
    [
        (timedelta(0), False),
        (DAY - timedelta(hours=2), False),
        (DAY - timedelta(seconds=1), False),
        (DAY, True),
        (DAY + timedelta(seconds=1), True),
        (DAY + timedelta(hours=2), True),
        (40 * DAY, True),
        (400 * DAY, True),
    ],
)
async def test_age_decides(
    objects: LocalStore, tmp_path: Path, age: timedelta, is_deleted: bool
) -> None:
    name = make(tmp_path, NOW - age)
    assert await sweep(objects, NOW - DAY) == is_deleted
    assert files(tmp_path) == (set() if is_deleted else {name})


async def test_an_empty_store_is_swept_at_once(objects: LocalStore) -> None:
    assert await sweep(objects, NOW) == 0


async def test_empty_folders_go_with_their_last_picture(
    objects: LocalStore, tmp_path: Path
) -> None:
    make(tmp_path, NOW - 3 * DAY)
    kept = make(tmp_path, NOW)
    await sweep(objects, NOW - DAY)
    folders = [path for path in tmp_path.rglob("*") if path.is_dir()]
    assert len(folders) == len(Path(kept).parts) - 1


async def test_what_is_not_a_picture_stays(objects: LocalStore, tmp_path: Path) -> None:
    old = make(tmp_path, NOW - 3 * DAY)
    foreign = ["url-signing.key", "images/notes.txt", "images/2026/x/y/z.png", f"{old}.bak"]
    for name in foreign:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("mine")
        os.utime(file, (0, 0))
    assert await sweep(objects, NOW - DAY) == 1
    assert files(tmp_path) == set(foreign)


async def test_a_picture_put_late_under_an_early_hour_waits_for_its_own_age() -> None:
    memory = MemoryStore()
    await memory.put_async(str(ObjectName.new("png", 0)), b"picture")
    assert await sweep(memory, datetime.now(UTC) - DAY) == 0
    assert await sweep(memory, datetime.now(UTC)) == 1


async def test_hours_that_cannot_have_expired_are_not_looked_at(
    objects: LocalStore, tmp_path: Path
) -> None:
    name = make(tmp_path, NOW)
    os.utime(tmp_path / name, (0, 0))
    assert await sweep(objects, NOW - timedelta(hours=1)) == 0
    assert await sweep(objects, NOW) == 1


async def test_many_replicas_sweep_at_the_same_time(tmp_path: Path) -> None:
    for index in range(600):
        make(tmp_path, NOW - (2 + index % 3) * DAY)
    kept = make(tmp_path, NOW)
    replicas = [LocalStore(tmp_path, automatic_cleanup=True) for _ in range(6)]
    counts = await asyncio.gather(*[sweep(replica, NOW - DAY) for replica in replicas])
    assert 0 < sum(counts) <= 600
    assert files(tmp_path) == {kept}


async def test_what_another_replica_deleted_keeps_nobody_from_the_rest(
    objects: LocalStore, tmp_path: Path
) -> None:
    names = [make(tmp_path, NOW) for _ in range(50)]
    (tmp_path / names[0]).unlink()
    assert await delete_all(objects, names) > 0
    assert files(tmp_path) == set()
    assert await delete_all(objects, names) == 0
    assert await delete_all(objects, []) == 0


async def test_a_picture_can_be_put_while_its_folder_is_swept_away(tmp_path: Path) -> None:
    replicas = [LocalStore(tmp_path, automatic_cleanup=True) for _ in range(2)]
    sweeping = asyncio.create_task(sweep_for_ever(replicas[0]))
    for _ in range(50):
        name = ObjectName.new("png", datetime.now(UTC).timestamp())
        await replicas[1].put_async(str(name), b"picture", mode="create", use_multipart=False)
    sweeping.cancel()
    await sweep(replicas[0], datetime.now(UTC))
    assert files(tmp_path) == set()


async def sweep_for_ever(objects: LocalStore) -> None:
    while True:
        await sweep(objects, datetime.now(UTC))
