"""Alive, and ready."""

import httpx
import pytest

from serve_app.errors import OverloadedError
from tests.unit.api.conftest import MakeClient
from tests.unit.api.drawing import Drawing


async def test_alive_whatever_the_model_does(client: httpx.AsyncClient, drawing: Drawing) -> None:
    drawing.is_ready = False
    response = await client.get("/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


async def test_ready(client: httpx.AsyncClient) -> None:
    response = await client.get("/readyz")
    assert (response.status_code, response.json()) == (200, {"status": "ready"})


async def test_not_ready_while_the_weights_load(
    client: httpx.AsyncClient, drawing: Drawing
) -> None:
    drawing.is_ready = False
    response = await client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["error"]["code"] == "SERVICE_UNAVAILABLE"
    assert 1 <= int(response.headers["retry-after"]) <= 30


async def test_not_ready_where_nobody_can_tell(
    make_client: MakeClient, drawing: Drawing, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unknown() -> bool:
        raise OverloadedError("The controller does not answer.", reason="controller")

    monkeypatch.setattr(drawing, "ready", unknown)
    async with make_client() as client:
        response = await client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["error"]["message"] == "The controller does not answer."
