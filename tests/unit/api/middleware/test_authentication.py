"""Who may use the API."""

import base64
import re
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from serve_app.imaging.codecs import encode
from serve_app.records.database import Database, url_of
from serve_app.records.key_store import KeyStore
from serve_app.records.keys import Scope
from serve_app.records.pepper import load_pepper
from tests.unit.api.conftest import MakeApp, MakeClient
from tests.unit.api.drawing import Drawing
from tests.unit.records.databases import sqlite_config

KEY = "sk-krea-ä"
VALUES = {"name": "flux.1-krea-dev", "request_id": "req_none"}  # of a path's parameters
# What each scope opens.
SCOPED = {
    Scope.GENERATE: ("POST", "/v1/images/generations"),
    Scope.EDIT: ("POST", "/openai/v1/images/edits"),
    Scope.READ_HISTORY: ("GET", "/v1/requests"),
    Scope.PURGE_HISTORY: ("DELETE", "/v1/requests/req_none/payloads"),
}


def bearer(key: str) -> dict[bytes, bytes]:
    return {b"authorization": f"Bearer {key}".encode()}


def keyed_routes(app: Starlette) -> list[tuple[str, str]]:
    """Return method and path of every route below `/v1` and `/openai/v1`."""
    return [
        (method, re.sub(r"{(\w+)(:\w+)?}", lambda name: VALUES[name[1]], route.path))
        for route in app.routes
        if isinstance(route, Route) and route.path.startswith(("/v1/", "/openai/v1/"))
        for method in sorted((route.methods or set()) - {"HEAD"})
    ]


async def test_every_v1_route_asks_for_the_key(make_app: MakeApp) -> None:
    app = make_app(api_key=KEY)
    routes = keyed_routes(app)
    assert len(routes) >= 10
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        for method, path in routes:
            await assert_asks_for_the_key(client, method, path)


async def assert_asks_for_the_key(client: httpx.AsyncClient, method: str, path: str) -> None:
    response = await client.request(method, path)
    allowed = await client.request(method, path, headers=bearer(KEY))
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


async def new_key(file: Path, organisation: str, *scopes: Scope) -> str:
    config = sqlite_config(file)
    database = Database.open(config)
    keys = KeyStore(database, load_pepper(url_of(config)))
    key = await keys.create("a test's", organisation, scopes, int(time.time() * 1000))
    await database.close()
    return key


@pytest.mark.parametrize("scope", Scope)
async def test_a_key_opens_what_its_scope_says(
    make_client: MakeClient, records_file: Path, scope: Scope
) -> None:
    key = await new_key(records_file, "acme", scope)
    async with make_client(api_key=KEY) as client:
        for needed, (method, path) in SCOPED.items():
            response = await client.request(method, path, headers=bearer(key))
            assert (response.status_code == 403) == (needed != scope)
            if needed != scope:
                assert response.json()["error"] == {
                    "message": f"This API key does not have the scope '{needed}'.",
                    "type": "permission_error",
                    "param": None,
                    "code": "PERMISSION_DENIED",
                }
        assert (await client.get("/v1/models", headers=bearer(key))).status_code == 200


async def test_an_organisation_sees_its_own_requests_only(
    make_client: MakeClient, records_file: Path
) -> None:
    mine, ours, theirs = [
        await new_key(records_file, organisation, *Scope)
        for organisation in ("acme", "acme", "other")
    ]
    async with make_client(api_key=KEY) as client:
        body = {"prompt": "a circle", "size": "64x64"}
        sent: Any = {"json": body, "headers": bearer(mine) | {b"idempotency-key": b"order-1"}}
        request_id = (await client.post("/v1/images/generations", **sent)).json()["id"]
        path = f"/v1/requests/{request_id}"
        assert (await client.get(path, headers=bearer(ours))).json()["key_id"] == mine[:11]
        for method, hidden in (("GET", path), ("DELETE", f"{path}/payloads")):
            response = await client.request(method, hidden, headers=bearer(theirs))
            assert response.status_code == 404
        sent["headers"] = bearer(theirs) | {b"idempotency-key": b"order-1"}
        other = await client.post("/v1/images/generations", **sent)
        assert other.json()["id"] != request_id


async def test_an_edit_needs_its_scope_on_either_route(
    make_client: MakeClient, records_file: Path
) -> None:
    picture = base64.b64encode(encode(np.zeros((64, 64, 3), np.uint8), "png", 100)).decode()
    body = {"prompt": "x", "image": f"data:image/png;base64,{picture}", "size": "64x64"}
    generates = bearer(await new_key(records_file, "acme", Scope.GENERATE))
    both = bearer(await new_key(records_file, "acme", Scope.GENERATE, Scope.EDIT))
    async with make_client(api_key=KEY) as client:
        path = "/v1/images/generations"
        refused = await client.post(path, json=body, headers=generates)
        assert (await client.post(path, json=body, headers=both)).status_code == 200
    assert refused.status_code == 403
    assert "'images:edit'" in refused.json()["error"]["message"]
