"""The image store: the same from outside, whether it is a folder or a bucket."""

import re
import resource
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from serve_app.config import StorageConfig
from serve_app.errors import OverloadedError
from serve_app.storage.links import Link, LinkSigner
from serve_app.storage.names import ObjectName
from serve_app.storage.store import CHUNK_BYTES, ImageStore
from serve_app.storage.url_keys import KEY_FILE, load_url_keys
from tests.unit.storage.conftest import content_of

MEDIA = "https://krea.test/media"


async def test_what_is_put_can_be_got_by_another_process(
    store: ImageStore, config: StorageConfig
) -> None:
    name = await store.put(b"picture", "png")
    url = ImageStore.open(config).url(name, MEDIA)
    assert await content_of(ImageStore.open(config), url) == b"picture"


async def test_a_url_is_one_name_with_the_suffix_of_its_format(store: ImageStore) -> None:
    url = store.url(await store.put(b"picture", "webp"), MEDIA)
    assert re.fullmatch(rf"{MEDIA}/[0-9a-f]+\.webp", url)


async def test_names_cannot_be_guessed(store: ImageStore) -> None:
    names = [ObjectName.parse(await store.put(b"same", "webp")) for _ in range(20)]
    assert len({name.picture_id for name in names}) == 20


async def test_a_picture_is_described(store: ImageStore) -> None:
    name = await store.put(b"picture", "webp")
    image = await store.get(store.url(name, MEDIA).rpartition("/")[2], with_content=False)
    assert image is not None
    assert (str(image.object_name), image.size_bytes) == (name, 7)
    assert 3590 <= image.seconds_left <= 3600


async def test_a_large_picture_comes_in_pieces(store: ImageStore) -> None:
    content = secrets.token_bytes(3 * CHUNK_BYTES + 5)
    url = store.url(await store.put(content, "png"), MEDIA)
    image = await store.get(url.rpartition("/")[2])
    assert image is not None
    chunks = [chunk async for chunk in image.chunks()]
    assert b"".join(chunks) == content
    assert len(chunks) > 1
    assert max(map(len, chunks)) < len(content)


async def test_a_link_expires_although_the_picture_is_there(
    store: ImageStore, config: StorageConfig
) -> None:
    name = ObjectName.parse(await store.put(b"picture", "png"))
    keys = load_url_keys(None if config.bucket else config.directory)
    links = [LinkSigner(keys).sign(Link(name, int(time.time()) + left)) for left in (60, 0)]
    assert [await content_of(store, link) for link in links] == [b"picture", None]


async def test_what_the_store_can_do_is_no_failure(config: StorageConfig) -> None:
    noted: list[str] = []
    store = ImageStore.open(config, noted.append)
    url = store.url(await store.put(b"picture", "png"), MEDIA)
    assert await content_of(store, url) == b"picture"
    await store.sweep()
    await store.delete(str(ObjectName.new("png", time.time())))
    assert await content_of(store, "0" * 40) is None
    assert noted == []


async def test_a_deleted_picture_is_gone_for_every_link(store: ImageStore) -> None:
    name = await store.put(b"picture", "png")
    url = store.url(name, MEDIA)
    await store.delete(name)
    await store.delete(name)
    assert await content_of(store, url) is None
    assert await content_of(store, store.url(name, MEDIA)) is None


@pytest.mark.parametrize("name", ["", "..", KEY_FILE, f"images/../{KEY_FILE}", "/etc/passwd"])
async def test_no_other_object_can_be_linked_or_deleted(store: ImageStore, name: str) -> None:
    with pytest.raises(ValueError, match="not the name of a picture"):
        store.url(name, MEDIA)
    with pytest.raises(ValueError, match="not the name of a picture"):
        await store.delete(name)


@pytest.mark.parametrize("text", ["", "..", KEY_FILE, f"%2e%2e%2f{KEY_FILE}", f"{'0' * 32}.png"])
async def test_other_links_lead_nowhere(store: ImageStore, text: str) -> None:
    assert await store.get(text) is None


async def test_only_old_pictures_are_swept(store: ImageStore, config: StorageConfig) -> None:
    url = store.url(await store.put(b"picture", "png"), MEDIA)
    assert await store.sweep() == 0
    assert await content_of(store, url) == b"picture"
    short_lived = config.model_copy(update={"object_ttl_s": 1e-6})
    assert await ImageStore.open(short_lived).sweep() == 1
    assert await content_of(store, url) is None


def repeat(monkeypatch: pytest.MonkeyPatch, *ids: str) -> None:
    """Let chance give these ids to the next pictures."""
    drawn: Iterator[str] = iter(ids)
    monkeypatch.setattr(secrets, "token_hex", lambda _: next(drawn))


async def test_a_name_that_is_taken_is_not_taken_away(
    store: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    repeat(monkeypatch, "a" * 32, "a" * 32, "b" * 32)
    first, second = await store.put(b"first", "png"), await store.put(b"second", "png")
    assert await content_of(store, store.url(first, MEDIA)) == b"first"
    assert await content_of(store, store.url(second, MEDIA)) == b"second"


async def test_what_can_not_be_kept_is_not_said_to_be(
    store: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    repeat(monkeypatch, *["a" * 32] * 3)
    await store.put(b"first", "png")
    with pytest.raises(OverloadedError, match="image store is not available"):
        await store.put(b"second", "png")


async def test_a_folder_that_became_a_file_is_a_503(folder_config: StorageConfig) -> None:
    noted: list[str] = []
    store = ImageStore.open(folder_config, noted.append)
    (folder_config.directory / "images").write_text("in the way")
    with pytest.raises(OverloadedError) as failed:
        await store.put(b"picture", "png")
    assert noted == ["put", "put"], "the second under another name"
    assert failed.value.status_code == 503
    assert str(folder_config.directory) not in str(failed.value)


@contextmanager
def file_size_limit(num_bytes: int) -> Iterator[None]:
    """Let no file of this process grow further: a write fails, as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


async def test_a_full_disk_is_a_503_and_leaves_nothing_half_written(
    folder_config: StorageConfig,
) -> None:
    store = ImageStore.open(folder_config)
    with file_size_limit(4096), pytest.raises(OverloadedError):
        await store.put(bytes(64 * 1024), "png")
    left = [path for path in folder_config.directory.rglob("*") if path.is_file()]
    assert [path.name for path in left] == [KEY_FILE]
    assert await store.put(bytes(64 * 1024), "png")


@pytest.mark.parametrize("variable", ["", "x" * 64])
def test_the_folder_holds_a_key_unless_the_environment_does(
    folder_config: StorageConfig, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv("KREA_SERVE_URL_KEYS", variable)
    ImageStore.open(folder_config)
    key_file: Path = folder_config.directory / KEY_FILE
    assert key_file.exists() == (variable == "")
