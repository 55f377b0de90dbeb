"""A request that is sent again with its `Idempotency-Key` is done once."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from starlette.concurrency import run_in_threadpool

from serve_app.api.routes import images
from serve_app.errors import OverloadedError
from serve_app.records import idempotency
from serve_app.records.idempotency import Idempotency
from tests.unit.api.conftest import MakeClient
from tests.unit.api.drawing import Drawing
from tests.unit.api.image_samples import noise, saved

PATH = "/v1/images/generations"
BODY: dict[str, Any] = {"prompt": "a large red circle", "size": "256x256"}
KEY = {"Idempotency-Key": "order-1"}


async def test_the_second_answer_is_the_first_one_again(
    client: httpx.AsyncClient, drawing: Drawing
) -> None:
    first = await client.post(PATH, json=BODY, headers=KEY)
    again = await client.post(PATH, json=BODY, headers=KEY)
    assert len(drawing.asked) == 1
    assert again.content == first.content
    assert again.status_code == 200
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    for name in ("content-type", "x-lumenfall-request-id", "x-lumenfall-model"):
        assert again.headers[name] == first.headers[name]
    assert first.json()["id"] == again.headers["x-lumenfall-request-id"]


async def test_it_is_one_request_in_the_history(client: httpx.AsyncClient) -> None:
    for _ in range(3):
        await client.post(PATH, json=BODY, headers=KEY)
    assert len((await client.get("/v1/requests")).json()["data"]) == 1


async def test_without_a_key_every_request_is_new(
    client: httpx.AsyncClient, drawing: Drawing
) -> None:
    first, again = [(await client.post(PATH, json=BODY)).json()["id"] for _ in range(2)]
    assert first != again
    assert len(drawing.asked) == 2


async def test_another_request_may_not_have_the_key(
    client: httpx.AsyncClient, drawing: Drawing
) -> None:
    await client.post(PATH, json=BODY, headers=KEY)
    other = await client.post(PATH, json=BODY | {"seed": 1}, headers=KEY)
    assert other.status_code == 400
    assert other.json()["error"] == {
        "message": "This 'Idempotency-Key' was used for another request.",
        "type": "invalid_request_error",
        "param": None,
        "code": "IDEMPOTENCY_MISMATCH",
    }
    assert len(drawing.asked) == 1


async def test_edits_and_generations_are_different_requests(
    client: httpx.AsyncClient, drawing: Drawing
) -> None:
    form: Any = {"prompt": (None, "a small blue square"), "image": ("a.png", saved(noise(), "PNG"))}
    first = await client.post("/v1/images/edits", files=form, headers=KEY)
    again = await client.post("/v1/images/edits", files=form, headers=KEY)
    assert first.status_code == 200
    # The two forms have different boundaries.
    assert first.request.headers["content-type"] != again.request.headers["content-type"]
    assert again.content == first.content
    assert len(drawing.asked) == 1
    assert (await client.post(PATH, json=BODY, headers=KEY)).status_code == 400


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_whoever_comes_meanwhile_waits_for_the_first(
    client: httpx.AsyncClient, drawing: Drawing, is_streamed: bool
) -> None:
    body = BODY | {"stream": is_streamed, "partial_images": 2}
    answers = await asyncio.gather(*(client.post(PATH, json=body, headers=KEY) for _ in range(4)))
    assert len(drawing.asked) == 1
    assert len({answer.content for answer in answers}) == 1
    replayed = [answer for answer in answers if "idempotent-replayed" in answer.headers]
    assert len(replayed) == 3
    expected = "text/event-stream" if is_streamed else "application/json"
    assert {answer.headers["content-type"].split(";")[0] for answer in answers} == {expected}


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_a_failure_is_not_kept(
    client: httpx.AsyncClient, drawing: Drawing, is_streamed: bool
) -> None:
    body = BODY | {"stream": is_streamed}
    drawing.failure = OverloadedError()
    failed = await client.post(PATH, json=body, headers=KEY)
    assert "SERVICE_UNAVAILABLE" in failed.text
    drawing.failure = None
    again = await client.post(PATH, json=body, headers=KEY)
    assert again.status_code == 200
    assert "idempotent-replayed" not in again.headers
    assert len(drawing.asked) == 2


async def test_a_dry_run_takes_no_key(client: httpx.AsyncClient, drawing: Drawing) -> None:
    await client.post(PATH, json=BODY, headers=KEY, params={"dryRun": "1"})
    await client.post(PATH, json=BODY | {"seed": 1}, headers=KEY)
    assert len(drawing.asked) == 1


@pytest.mark.parametrize("key", ["", "k" * 256])
@pytest.mark.parametrize("query", ["", "?dryRun=true"])
async def test_a_key_of_the_wrong_length_is_refused(
    client: httpx.AsyncClient, drawing: Drawing, key: str, query: str
) -> None:
    response = await client.post(PATH + query, json=BODY, headers={"Idempotency-Key": key})
    assert response.status_code == 400
    error = response.json()["error"]
    assert error["param"] == "Idempotency-Key"
    assert f"Must have 1 to 255 characters; this has {len(key)}." in error["message"]
    assert drawing.asked == []


async def test_a_key_of_any_characters_is_one(client: httpx.AsyncClient, drawing: Drawing) -> None:
    headers = {b"idempotency-key": "k\xfc\x7f".encode("latin-1") * 85}
    for _ in range(2):
        assert (await client.post(PATH, json=BODY, headers=headers)).status_code == 200
    assert len(drawing.asked) == 1


async def test_a_key_is_free_when_its_first_request_was_left(
    client: httpx.AsyncClient, drawing: Drawing
) -> None:
    drawing.is_endless = True
    asking = asyncio.create_task(client.post(PATH, json=BODY, headers=KEY))
    await drawing.started.wait()
    asking.cancel()
    await asyncio.wait([asking])
    drawing.is_endless = False
    assert (await client.post(PATH, json=BODY, headers=KEY)).status_code == 200
    assert len(drawing.asked) == 2


async def test_waiting_has_an_end(make_client: MakeClient, drawing: Drawing) -> None:
    drawing.is_endless = True
    async with make_client(deadline_s=0.2) as client:
        asking = asyncio.create_task(client.post(PATH, json=BODY, headers=KEY))
        await drawing.started.wait()
        late = await client.post(PATH, json=BODY, headers=KEY)
        asking.cancel()
        await asyncio.wait([asking])
    assert (late.status_code, late.json()["error"]["code"]) == (504, "TIMEOUT")
    assert late.headers["x-should-retry"] == "false"


async def bills(client: httpx.AsyncClient) -> list[tuple[str, float]]:
    """Return the status and the cost of each request in the history, the newest first."""
    entries = (await client.get("/v1/requests")).json()["data"]
    return [(entry["status"], entry["cost"]) for entry in entries]


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_one_key_is_one_bill(client: httpx.AsyncClient, is_streamed: bool) -> None:
    for _ in range(2):
        await client.post(PATH, json=BODY | {"stream": is_streamed}, headers=KEY)
    assert await bills(client) == [("completed", 0.025)]


async def test_a_client_that_leaves_before_its_answer_is_kept_does_not_pay(
    client: httpx.AsyncClient, drawing: Drawing, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_made = asyncio.Event()

    async def hold(*_: object) -> None:
        is_made.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as held_up:
        held_up.setattr(images, "run_in_threadpool", at_the_answer(hold))
        asking = asyncio.create_task(client.post(PATH, json=BODY, headers=KEY))
        await is_made.wait()
        asking.cancel()
        await asyncio.wait([asking])
    assert (await client.post(PATH, json=BODY, headers=KEY)).status_code == 200
    assert len(drawing.asked) == 2
    assert await bills(client) == [("completed", 0.025), ("cancelled", 0)]


def at_the_answer(hold: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[Any]]:
    """Return a `run_in_threadpool` that holds up the making of an answer."""

    async def run(work: Callable[..., Any], *arguments: Any) -> Any:
        if work is images._images_answer:
            await hold()
        return await run_in_threadpool(work, *arguments)

    return run


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_a_client_that_leaves_while_its_answer_is_kept_pays_once(
    client: httpx.AsyncClient,
    drawing: Drawing,
    monkeypatch: pytest.MonkeyPatch,
    is_streamed: bool,
) -> None:
    body = BODY | {"stream": is_streamed}
    is_keeping, may_keep = asyncio.Event(), asyncio.Event()
    finish = Idempotency.finish

    async def finish_late(*arguments: Any) -> bool:
        is_keeping.set()
        await may_keep.wait()
        return await finish(*arguments)

    with monkeypatch.context() as held_up:
        held_up.setattr(Idempotency, "finish", finish_late)
        asking = asyncio.create_task(client.post(PATH, json=body, headers=KEY))
        await is_keeping.wait()
        asking.cancel()
        await asyncio.sleep(0.05)
        may_keep.set()
        await asyncio.wait([asking])
    assert asking.cancelled()
    again = await client.post(PATH, json=body, headers=KEY)
    assert again.headers["idempotent-replayed"] == "true"
    assert len(drawing.asked) == 1
    assert [cost for _, cost in await bills(client)] == [0.025]


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_an_answer_that_was_not_kept_is_not_charged(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, is_streamed: bool
) -> None:
    body = BODY | {"stream": is_streamed}
    with monkeypatch.context() as too_long:
        too_long.setattr(idempotency, "MAX_BODY_BYTES", 10)
        assert (await client.post(PATH, json=body, headers=KEY)).status_code == 200
    again = await client.post(PATH, json=body, headers=KEY)
    assert "idempotent-replayed" not in again.headers
    assert await bills(client) == [("completed", 0.025), ("completed", 0)]
