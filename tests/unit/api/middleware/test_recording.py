"""What the history says of a request, however it ends."""

import asyncio
from contextlib import suppress
from typing import Any

import httpx
import pytest

from serve_app.api.answers import events
from serve_app.errors import OverloadedError, StageFailedError
from serve_app.storage.store import ImageStore
from tests.unit.api.conftest import MakeClient
from tests.unit.api.drawing import Drawing

PATH = "/v1/images/generations"
BODY = {"prompt": "the secret prompt", "size": "256x256"}
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"


async def newest(client: httpx.AsyncClient) -> dict[str, Any]:
    entries = await history(client)
    return entries[0]


async def history(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    response = await client.get("/v1/requests")
    assert response.status_code == 200
    data: list[dict[str, Any]] = response.json()["data"]
    return data


async def test_a_finished_request(client: httpx.AsyncClient, drawing: Drawing) -> None:
    headers = {"traceparent": f"00-{TRACE_ID}-00f067aa0ba902b7-01", "x-session-id": "tour"}
    body = BODY | {"n": 3, "user": "u-7", "response_format": "b64_json"}
    answer = await client.post(PATH, json=body, headers=headers)
    entry = await newest(client)
    assert entry.pop("created_at").endswith("Z")
    assert 0 <= entry.pop("duration_ms") < 60_000
    assert entry == {
        "id": answer.json()["id"],
        "object": "request",
        "model": "flux.1-krea-dev",
        "modality": "image",
        "endpoint": "/images/generations",
        "status": "completed",
        "cost": 0.075,
        "currency": "usd",
        "key_id": None,
        "error_code": None,
        "error_message": None,
        "session_id": "tour",
        "trace_id": TRACE_ID,
        "user": "u-7",
        "request_size_bytes": len(answer.request.content),
        "response_size_bytes": len(answer.content),
    }


async def test_both_prefixes_are_one_endpoint(client: httpx.AsyncClient) -> None:
    await client.post("/openai" + PATH, json=BODY)
    assert (await newest(client))["endpoint"] == "/images/generations"


@pytest.mark.parametrize(
    "header", ["", "00-xyz-1-01", f"00-{TRACE_ID.upper()}-00f067aa0ba902b7-01"]
)
async def test_what_is_no_trace_is_none(client: httpx.AsyncClient, header: str) -> None:
    await client.post(PATH, json=BODY, headers={"traceparent": header})
    assert (await newest(client))["trace_id"] is None


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (BODY | {"n": 11}, "Invalid value for 'n': 11. Must be between 1 and 10."),
        (BODY | {"prompt": "secret " * 5000}, None),
        (BODY | {"image": "secret"}, None),
    ],
)
async def test_a_refused_request_costs_nothing_and_tells_no_secret(
    client: httpx.AsyncClient, body: dict[str, Any], message: str | None
) -> None:
    assert (await client.post(PATH, json=body)).status_code == 400
    entry = await newest(client)
    assert (entry["status"], entry["cost"]) == ("rejected", 0)
    assert (entry["error_code"], entry["error_message"]) == ("INVALID_REQUEST", message)
    assert "secret" not in str(await history(client))


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (StageFailedError("vae"), "INTERNAL_ERROR"),
        (OverloadedError(), "SERVICE_UNAVAILABLE"),
        (RuntimeError("/srv/secret"), "INTERNAL_ERROR"),
    ],
)
@pytest.mark.parametrize("is_streamed", [False, True])
async def test_a_failed_request_costs_nothing(
    client: httpx.AsyncClient, drawing: Drawing, failure: Exception, code: str, is_streamed: bool
) -> None:
    drawing.failure = failure
    answer = await client.post(PATH, json=BODY | {"stream": is_streamed})
    assert answer.status_code == (200 if is_streamed else getattr(failure, "status_code", 500))
    entry = await newest(client)
    assert (entry["status"], entry["error_code"]) == ("upstream_failure", code)
    assert entry["cost"] == 0
    assert "secret" not in str(entry)


async def test_a_picture_whose_url_cannot_be_made_costs_nothing(
    client: httpx.AsyncClient, drawing: Drawing, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise OverloadedError

    with monkeypatch.context() as without_credentials:
        without_credentials.setattr(ImageStore, "url", refuse)
        for _ in range(2):
            assert (await client.post(PATH, json=BODY)).status_code == 503
    assert (await client.post(PATH, json=BODY)).status_code == 200
    assert [(entry["status"], entry["cost"]) for entry in await history(client)] == [
        ("completed", 0.025),
        ("upstream_failure", 0),
        ("upstream_failure", 0),
    ]
    assert len(drawing.asked) == 3


async def test_a_stream_that_ends_is_a_finished_request(client: httpx.AsyncClient) -> None:
    answer = await client.post(PATH, json=BODY | {"stream": True, "partial_images": 2})
    entry = await newest(client)
    assert (entry["status"], entry["cost"]) == ("completed", 0.025)
    assert entry["response_size_bytes"] == len(answer.content)


async def test_a_running_request_is_seen_and_one_that_is_left_is_cancelled(
    client: httpx.AsyncClient, drawing: Drawing
) -> None:
    drawing.is_endless = True
    asking = asyncio.create_task(client.post(PATH, json=BODY))
    await drawing.started.wait()
    async with asyncio.timeout(20):
        while not (entries := await history(client)):
            await asyncio.sleep(0.01)
    assert entries[0]["status"] == "processing"
    assert entries[0]["duration_ms"] is None
    asking.cancel()
    with suppress(asyncio.CancelledError):
        await asking
    entry = await newest(client)
    assert (entry["status"], entry["cost"]) == ("cancelled", 0)
    assert entry["response_size_bytes"] is None


async def test_a_dry_run_is_no_request(client: httpx.AsyncClient) -> None:
    assert (await client.post(PATH, json=BODY, params={"dryRun": "true"})).status_code == 200
    assert await history(client) == []


async def test_whoever_has_no_key_is_nobody_s_request(make_client: MakeClient) -> None:
    async with make_client(api_key="sk-right") as client:
        assert (await client.post(PATH, json=BODY)).status_code == 401
        headers = {"authorization": "Bearer sk-right"}
        assert (await client.get("/v1/requests", headers=headers)).json()["data"] == []
        await client.post(PATH, json=BODY, headers=headers)
        (entry,) = (await client.get("/v1/requests", headers=headers)).json()["data"]
    assert entry["key_id"] == "bootstrap"


@pytest.mark.parametrize("body", [BODY | {"n": 11}, BODY | {"image": "secret"}])
async def test_nor_is_a_dry_run_that_is_refused(
    client: httpx.AsyncClient, body: dict[str, Any]
) -> None:
    assert (await client.post(PATH, json=body, params={"dryRun": "1"})).status_code == 400
    assert await history(client) == []


async def test_an_event_that_cannot_be_made_is_a_failure(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bytes:
        raise MemoryError

    monkeypatch.setattr(events, "_event", fail)
    answer = await client.post(PATH, json=BODY | {"stream": True})
    assert answer.text.startswith("event: error")
    entry = await newest(client)
    assert (entry["status"], entry["error_code"]) == ("upstream_failure", "INTERNAL_ERROR")
    assert entry["cost"] == 0
