"""Alive, and ready."""

import httpx

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
