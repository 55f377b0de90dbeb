"""Downloads of pictures that were delivered as URLs."""

import os
import time
from pathlib import Path

import httpx
import pytest

from tests.unit.api.conftest import BASE_URL, MakeClient
from tests.unit.api.drawing import Drawing

PATH = "/v1/images/generations"
BODY = {"prompt": "x", "size": "256x256"}


async def test_get_and_head(client: httpx.AsyncClient, drawing: Drawing) -> None:
    name = await drawing.images.put(b"a picture", "webp")
    got, head = await client.get(f"/media/{name}"), await client.head(f"/media/{name}")
    assert got.content == b"a picture"
    assert head.content == b""
    for response in (got, head):
        assert response.status_code == 200
        assert response.headers["content-type"] == "image/webp"
        assert response.headers["content-length"] == "9"


async def test_expired_and_unknown_are_the_same(
    client: httpx.AsyncClient, drawing: Drawing, tmp_path: Path
) -> None:
    expired = await drawing.images.put(b"a picture", "png")
    os.utime(tmp_path / "media" / expired, (time.time() - 3601,) * 2)
    answers = [await client.get(f"/media/{name}") for name in (expired, f"{'0' * 32}.png")]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].json() == answers[1].json()
    assert answers[0].json()["error"]["code"] == "NOT_FOUND"


@pytest.mark.parametrize("name", ["..%2F..%2Fetc%2Fpasswd", "%2e%2e", "x.png", "%00.png"])
async def test_names_lead_nowhere_else(client: httpx.AsyncClient, name: str) -> None:
    assert (await client.get(f"/media/{name}")).status_code == 404


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
