"""Who may use the API."""

import httpx
import pytest

from tests.unit.api.conftest import MakeClient
from tests.unit.api.drawing import Drawing

KEY = "sk-krea-ä"
KEYED = [
    ("POST", "/images/generations"),
    ("POST", "/images/variations"),
    ("GET", "/models"),
    ("GET", "/models/flux.1-krea-dev"),
]


def bearer(key: str) -> dict[bytes, bytes]:
    return {b"authorization": f"Bearer {key}".encode()}


@pytest.mark.parametrize("prefix", ["/v1", "/openai/v1"])
@pytest.mark.parametrize(("method", "path"), KEYED)
async def test_every_v1_route_asks_for_the_key(
    make_client: MakeClient, prefix: str, method: str, path: str
) -> None:
    async with make_client(api_key=KEY) as client:
        response = await client.request(method, prefix + path)
        allowed = await client.request(method, prefix + path, headers=bearer(KEY))
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.json()["error"] == {
        "message": "Invalid or missing API key.",
        "type": "authentication_error",
        "param": None,
        "code": "AUTHENTICATION_FAILED",
    }
    assert allowed.status_code != 401


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        "Basic sk-krea-ä",
        "sk-krea-ä",
        "Bearer sk-krea-",
        "Bearer sk-krea-ää",
    ],
)
async def test_nothing_else_is_a_key(make_client: MakeClient, authorization: str) -> None:
    async with make_client(api_key=KEY) as client:
        headers = {b"authorization": authorization.encode()}
        response = await client.get("/v1/models", headers=headers)
    assert response.status_code == 401


async def test_the_scheme_is_read_in_any_case(make_client: MakeClient) -> None:
    async with make_client(api_key=KEY) as client:
        headers = {b"authorization": f"bearer {KEY}".encode()}
        assert (await client.get("/v1/models", headers=headers)).status_code == 200


async def test_the_key_comes_before_the_body_and_after_the_route(
    make_client: MakeClient, drawing: Drawing
) -> None:
    async with make_client(api_key=KEY, max_body_bytes=10) as client:
        content = b'{"prompt": "far too long"}'
        unknown = await client.post("/v1/images/generations", content=content)
        assert unknown.status_code == 401
        known = await client.post("/v1/images/generations", content=content, headers=bearer(KEY))
        assert known.status_code == 413
        assert (await client.get("/v1/images/generations")).status_code == 405
        assert (await client.get("/v1/nothing")).status_code == 404
    assert drawing.asked == []


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/playground", "/playground/icon.svg"])
async def test_open_doors(make_client: MakeClient, path: str) -> None:
    async with make_client(api_key=KEY) as client:
        assert (await client.get(path)).status_code == 200


async def test_without_a_key_everybody_may(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/models")).status_code == 200
    assert (await client.get("/v1/models", headers=bearer("any"))).status_code == 200
