"""Downloads of pictures that were delivered as URLs."""

import asyncio
import time
from pathlib import Path

import httpx
import pytest
from starlette.types import Message

from serve_app.config import StorageConfig
from serve_app.storage.links import Link, LinkSigner
from serve_app.storage.names import ObjectName
from serve_app.storage.store import CHUNK_BYTES, ImageStore
from serve_app.storage.url_keys import load_url_keys
from tests.unit.api.conftest import BASE_URL, MakeApp, MakeClient
from tests.unit.api.drawing import Drawing

PATH = "/v1/images/generations"
BODY = {"prompt": "x", "size": "256x256"}


@pytest.fixture
async def name(drawing: Drawing) -> str:
    """A picture that is there."""
    return await drawing.images.put(b"a picture", "webp")


@pytest.fixture
def url(drawing: Drawing, name: str) -> str:
    return drawing.images.url(name, "/media")


async def test_get_and_head(client: httpx.AsyncClient, url: str, name: str) -> None:
    got, head = await client.get(url), await client.head(url)
    assert got.content == b"a picture"
    assert head.content == b""
    for response in (got, head):
        assert response.status_code == 200
        assert response.headers["content-type"] == "image/webp"
        assert response.headers["content-length"] == "9"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["content-security-policy"] == "default-src 'none'; sandbox"
        file_name = ObjectName.parse(name).file_name
        assert response.headers["content-disposition"] == f'inline; filename="{file_name}"'


async def test_no_key_is_asked_for(make_client: MakeClient, url: str) -> None:
    async with make_client(api_key="secret") as client:
        assert (await client.get("/v1/models")).status_code == 401
        assert (await client.get(url)).content == b"a picture"


async def test_every_ingress_replica_answers(make_client: MakeClient, tmp_path: Path) -> None:
    writer, signing, answering = (
        ImageStore.open(StorageConfig(directory=tmp_path / "media")) for _ in range(3)
    )
    url = signing.url(await writer.put(b"a picture", "png"), "/media")
    async with make_client() as client:
        assert (await client.get(url)).content == b"a picture"
    image = await answering.get(url.rpartition("/")[2])
    assert image is not None


async def test_a_picture_is_cached_no_longer_than_its_url_works(
    client: httpx.AsyncClient, tmp_path: Path, name: str
) -> None:
    url = signed(tmp_path, name, seconds_left=100)
    kind, _, max_age = (await client.get(url)).headers["cache-control"].partition(", max-age=")
    assert kind == "private"
    assert 95 <= int(max_age) <= 100


def signed(tmp_path: Path, name: str, seconds_left: int) -> str:
    """Return a URL as another replica of the same server would make it."""
    signer = LinkSigner(load_url_keys(tmp_path / "media"))
    link = Link(ObjectName.parse(name), int(time.time()) + seconds_left)
    return f"/media/{signer.sign(link)}"


async def test_expired_altered_deleted_and_unknown_are_the_same(
    client: httpx.AsyncClient, drawing: Drawing, tmp_path: Path, url: str, name: str
) -> None:
    token, _, _ = url.rpartition(".")
    deleted = await drawing.images.put(b"a picture", "png")
    await drawing.images.delete(deleted)
    bad = [
        signed(tmp_path, name, seconds_left=0),
        f"{token}.png",
        f"{token[:-1]}{'0' if token[-1] != '0' else '1'}.webp",
        f"/media/{ObjectName.parse(name).file_name}",
        f"/media/{'0' * 32}.png",
        drawing.images.url(deleted, "/media"),
    ]
    answers = [await client.get(path) for path in bad]
    assert [answer.status_code for answer in answers] == [404] * len(bad)
    assert answers[0].json()["error"]["code"] == "NOT_FOUND"
    assert all(answer.json() == answers[0].json() for answer in answers)
    heads = [await client.head(path) for path in bad]
    assert [head.status_code for head in heads] == [404] * len(bad)


@pytest.mark.parametrize(
    "path",
    [
        "..%2F..%2Fetc%2Fpasswd",
        "%2e%2e",
        "x.png",
        "%00.png",
        "url-signing.key",
        "..%2Furl-signing.key",
        f"images%2F2026%2F01%2F01%2F00%2F{'0' * 32}.png",
        "%F0%9F%8E%A8.png",
        f"{'0' * 8000}.png",
    ],
)
async def test_names_lead_nowhere_else(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(f"/media/{path}")).status_code == 404


async def test_a_picture_can_only_be_read(client: httpx.AsyncClient, url: str) -> None:
    answer = await client.post(url)
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}


@pytest.mark.parametrize("header", ["{tag}", "W/{tag}", '"other", {tag}', "*"])
async def test_a_client_that_has_the_picture_is_not_sent_it_again(
    client: httpx.AsyncClient, url: str, header: str
) -> None:
    tag = (await client.get(url)).headers["etag"]
    answer = await client.get(url, headers={"if-none-match": header.format(tag=tag)})
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == tag
    assert answer.headers["cache-control"].startswith("private, max-age=")


@pytest.mark.parametrize("header", ['"other"', "", '"', "," * 1000])
async def test_a_client_that_has_another_picture_is_sent_this_one(
    client: httpx.AsyncClient, url: str, header: str
) -> None:
    answer = await client.get(url, headers={"if-none-match": header})
    assert (answer.status_code, answer.content) == (200, b"a picture")


async def test_an_expired_url_is_not_even_confirmed(
    client: httpx.AsyncClient, tmp_path: Path, url: str, name: str
) -> None:
    tag = (await client.get(url)).headers["etag"]
    expired = signed(tmp_path, name, seconds_left=0)
    assert (await client.get(expired, headers={"if-none-match": tag})).status_code == 404


async def test_two_pictures_have_two_tags(client: httpx.AsyncClient, drawing: Drawing) -> None:
    names = [await drawing.images.put(b"a picture", "png") for _ in range(2)]
    heads = [await client.head(drawing.images.url(name, "/media")) for name in names]
    assert len({head.headers["etag"] for head in heads}) == 2


@pytest.mark.parametrize(
    "ranges",
    ["bytes=0-3", "bytes=99-", "bytes=,", "bytes=" + ",".join(f"{i}-{i}" for i in range(1000))],
)
async def test_a_request_for_parts_gets_the_whole(
    client: httpx.AsyncClient, url: str, ranges: str
) -> None:
    answer = await client.get(url, headers={"range": ranges})
    assert (answer.status_code, answer.content) == (200, b"a picture")
    assert answer.headers["accept-ranges"] == "none"


async def test_a_large_picture_is_not_held_as_a_whole(make_app: MakeApp, drawing: Drawing) -> None:
    size_bytes = 5 * CHUNK_BYTES
    url = drawing.images.url(await drawing.images.put(bytes(size_bytes), "png"), "/media")
    sent: list[Message] = []

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError("the client stays")

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": url, "headers": [], "query_string": b""}
    await make_app()(scope, receive, send)
    parts = [len(message.get("body", b"")) for message in sent]
    assert sum(parts) == size_bytes
    assert max(parts) <= CHUNK_BYTES


async def test_a_store_that_is_down_is_a_503(
    make_client: MakeClient, drawing: Drawing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KREA_SERVE_URL_KEYS", "k" * 32)
    drawing.images = ImageStore.open(unreachable_bucket())
    url = drawing.images.url(str(ObjectName.new("png", time.time())), "/media")
    async with make_client() as client:
        answer = await client.get(url)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert answer.json()["error"]["code"] == "SERVICE_UNAVAILABLE"


def unreachable_bucket() -> StorageConfig:
    return StorageConfig(
        bucket="s3://pictures",
        bucket_options={
            # A port for which nothing can listen.
            "endpoint": "http://127.0.0.1:1",
            "region": "eu-central-1",
            "access_key_id": "id",
            "secret_access_key": "secret",
        },
        presigned=False,
    )


async def test_the_url_of_an_answer_is_a_picture(client: httpx.AsyncClient) -> None:
    (data,) = (await client.post(PATH, json=BODY)).json()["data"]
    downloaded = await client.get(data["url"])
    assert downloaded.headers["content-type"] == "image/png"
    assert downloaded.content.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("headers", "start"),
    [
        ({}, BASE_URL),
        ({"host": "images.example:8443"}, "http://images.example:8443"),
        ({"host": "[::1]:8000"}, "http://[::1]:8000"),
        (
            {"x-forwarded-host": "api.example, inner", "x-forwarded-proto": "https, http"},
            "https://api.example",
        ),
        ({"x-forwarded-proto": "javascript"}, BASE_URL),
        ({"x-forwarded-host": "evil.example/path?"}, BASE_URL),
        ({"x-forwarded-host": "user@evil.example"}, BASE_URL),
        ({"host": "evil.example/path"}, BASE_URL),
    ],
)
async def test_urls_start_where_the_client_reached_us(
    client: httpx.AsyncClient, headers: dict[str, str], start: str
) -> None:
    answer = (await client.post(PATH, json=BODY, headers=headers)).json()
    assert answer["data"][0]["url"].startswith(f"{start}/media/")


async def test_a_configured_start_outranks_the_request(make_client: MakeClient) -> None:
    async with make_client(public_base_url="https://cdn.example/krea/") as client:
        answer = (await client.post(PATH, json=BODY)).json()
    assert answer["data"][0]["url"].startswith("https://cdn.example/krea/media/")
