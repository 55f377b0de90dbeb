"""Pictures in S3: presigned URLs by Amazon's own rules, and an S3 that does not answer."""

import time
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from obstore.exceptions import BaseError

from serve_app.config import StorageConfig
from serve_app.errors import ConfigError, OverloadedError
from serve_app.storage.names import ObjectName
from serve_app.storage.store import ImageStore
from tests.unit.storage.conftest import ACCESS_KEY, BUCKET, S3, SECRET_KEY, start_s3
from tests.unit.storage.faulty_proxy import Fault, FaultyProxy
from tests.unit.storage.sigv4 import refusal

SECRETS = {ACCESS_KEY: SECRET_KEY}
TTL_S = 900
UNUSED = "https://unused.test/media"
# Generous for a busy machine; obstore's own defaults would take minutes.
SOON_S = 5


@pytest.fixture
def presigned(s3: S3) -> ImageStore:
    return ImageStore.open(s3.config("presigned", url_ttl_s=TTL_S))


@pytest.fixture
async def url(presigned: ImageStore) -> str:
    return presigned.url(await presigned.put(b"picture", "webp"), UNUSED)


async def download(url: str) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.get(url)


def refused(url: str, method: str = "GET", secrets: dict[str, str] = SECRETS) -> str | None:
    return refusal(url, method, secrets, datetime.now(UTC))


async def test_a_client_downloads_from_the_bucket_itself(s3: S3, url: str) -> None:
    assert url.startswith(f"{s3.url}/{BUCKET}/presigned/images/")
    answer = await download(url)
    assert (answer.status_code, answer.content) == (200, b"picture")
    assert answer.headers["content-type"] == "image/webp"
    assert answer.headers["cache-control"] == f"private, max-age={TTL_S}"
    file_name = urlsplit(url).path.rpartition("/")[2]
    assert answer.headers["content-disposition"] == f'inline; filename="{file_name}"'


async def test_the_signature_is_the_one_that_s3_computes(url: str) -> None:
    assert refused(url) is None
    assert parse_qs(urlsplit(url).query)["X-Amz-Expires"] == [str(TTL_S)]


async def test_the_secret_may_come_from_the_environment(
    s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = s3.config("environment")
    for variable, option in (
        ("AWS_ACCESS_KEY_ID", "access_key_id"),
        ("AWS_SECRET_ACCESS_KEY", "secret_access_key"),
    ):
        monkeypatch.setenv(variable, config.bucket_options.pop(option))
    store = ImageStore.open(config)
    assert refused(store.url(await store.put(b"picture", "png"), UNUSED)) is None


async def test_an_expired_url_is_refused(url: str) -> None:
    now = datetime.now(UTC)
    assert refusal(url, "GET", SECRETS, now + timedelta(seconds=TTL_S - 60)) is None
    assert refusal(url, "GET", SECRETS, now + timedelta(seconds=TTL_S)) == "expired"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (f"X-Amz-Expires={TTL_S}", "X-Amz-Expires=604800"),
        ("X-Amz-Date=20", "X-Amz-Date=21"),
        ("eu-central-1", "eu-central-2"),
        (".webp", ".png"),
        ("/presigned/", "/other/"),
        ("127.0.0.1", "127.0.0.2"),
        ("X-Amz-Signature=", "X-Amz-Signature=0"),
        ("X-Amz-SignedHeaders=host", "X-Amz-SignedHeaders=host&versionId=1"),
    ],
)
async def test_an_altered_url_is_refused(url: str, old: str, new: str) -> None:
    assert old in url
    assert refused(url.replace(old, new)) == "wrong signature"


async def test_other_methods_and_secrets_are_refused(url: str) -> None:
    assert refused(url, method="PUT") == "wrong signature"
    assert refused(url, secrets={ACCESS_KEY: "another"}) == "wrong signature"
    assert refused(url, secrets={}) == "wrong signature"
    assert refused(url.partition("?")[0]) == "not signed"


async def test_media_has_no_pictures_of_a_presigned_bucket(presigned: ImageStore, url: str) -> None:
    assert await presigned.get(urlsplit(url).path.rpartition("/")[2]) is None


async def test_a_deleted_picture_is_not_found(presigned: ImageStore) -> None:
    name = await presigned.put(b"picture", "png")
    await presigned.delete(name)
    assert (await download(presigned.url(name, UNUSED))).status_code == 404


def test_replicas_without_a_common_folder_need_a_common_key(s3: S3) -> None:
    with pytest.raises(ConfigError, match="KREA_SERVE_URL_KEYS"):
        ImageStore.open(s3.config("streamed", presigned=False))


async def tries(config: StorageConfig, caplog: pytest.LogCaptureFixture) -> None:
    """Put and delete, and see each fail in time as a 503 that tells no secret."""
    noted: list[str] = []
    store = ImageStore.open(config, noted.append)
    name = str(ObjectName.new("png", time.time()))
    for failing in (store.put(b"picture", "png"), store.delete(name)):
        started_at = time.monotonic()
        with pytest.raises(OverloadedError, match="b64_json") as failed:
            await failing
        assert time.monotonic() - started_at < SOON_S
        assert failed.value.status_code == 503
        assert failed.value.headers == {"Retry-After": "5"}
    with pytest.raises((BaseError, OSError)):
        await store.sweep()
    # A creation that fails rather than hangs is tried again.
    assert noted in (["put", "delete", "sweep"], ["put", "put", "delete", "sweep"])
    assert "the image store failed" in caplog.text
    assert SECRET_KEY not in caplog.text


async def test_a_server_that_is_gone(caplog: pytest.LogCaptureFixture) -> None:
    own = start_s3()
    config = own.config("gone")
    await ImageStore.open(config).put(b"picture", "png")
    own.server.stop()
    await tries(config, caplog)


@pytest.mark.parametrize("fault", ["reset", "hang"])
async def test_a_network_that_loses_every_connection(
    s3: S3, fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    async with FaultyProxy(s3.port, fault).listening() as endpoint:
        await tries(s3.config("lost", endpoint, timeout_s=0.5), caplog)


async def test_a_bucket_that_does_not_exist(s3: S3) -> None:
    config = s3.config("x").model_copy(update={"bucket": "s3://nowhere"})
    with pytest.raises(OverloadedError):
        await ImageStore.open(config).put(b"picture", "png")


@pytest.mark.parametrize("fault", ["reset", "hang"])
async def test_one_lost_connection_costs_no_picture(s3: S3, fault: Fault) -> None:
    proxy = FaultyProxy(s3.port, fault, num_faults=1)
    async with proxy.listening() as endpoint:
        store = ImageStore.open(s3.config("once", endpoint, timeout_s=5))
        name = await store.put(b"picture", "png")
        assert proxy.num_connections == 2
        direct = ImageStore.open(s3.config("once"))
        assert (await download(direct.url(name, UNUSED))).content == b"picture"


async def test_an_answer_that_is_cut_off_is_not_passed_on_as_whole(
    s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KREA_SERVE_URL_KEYS", "k" * 32)
    name = await ImageStore.open(s3.config("cut")).put(bytes(1024 * 1024), "png")
    async with FaultyProxy(s3.port, "cut").listening() as endpoint:
        store = ImageStore.open(s3.config("cut", endpoint, presigned=False, timeout_s=2))
        image = await store.get(store.url(name, "/media").rpartition("/")[2])
        assert image is not None
        with pytest.raises(Exception, match="S3"):
            [chunk async for chunk in image.chunks()]
