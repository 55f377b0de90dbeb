"""A stream is OpenAI's events, ends with one of two, and stays alive while nothing comes."""

import asyncio
import base64
import json
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest
from starlette.types import Message

from serve_app.api.answers.events import KEEP_ALIVE, Chunk, with_keep_alives
from serve_app.errors import OverloadedError
from tests.unit.api.conftest import MakeApp
from tests.unit.api.drawing import Drawing

ROUTE = "/v1/images/generations"
BODY = {"prompt": "a lighthouse", "stream": True, "size": "256x256"}
SHARED_KEYS = {"b64_json", "created_at", "size", "quality", "background", "output_format", "type"}


async def streamed(client: httpx.AsyncClient, **body: Any) -> list[tuple[str, dict[str, Any]]]:
    """Return the names and the data of a stream's events."""
    answer = await client.post(ROUTE, json=BODY | body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-cache"
    blocks = answer.text.removesuffix("\n\n").split("\n\n")
    return [parsed(block) for block in blocks]


def parsed(block: str) -> tuple[str, dict[str, Any]]:
    name, data = block.split("\n")
    return name.removeprefix("event: "), json.loads(data.removeprefix("data: "))


async def test_partial_images_come_before_the_picture(client: httpx.AsyncClient) -> None:
    sent = await streamed(client, partial_images=2)
    assert [name for name, _ in sent] == [
        "image_generation.partial_image",
        "image_generation.partial_image",
        "image_generation.completed",
    ]
    assert [data.get("partial_image_index") for _, data in sent] == [0, 1, None]
    assert all(data["type"] == name for name, data in sent)
    assert all(set(data) >= SHARED_KEYS for _, data in sent)
    assert sent[-1][1]["usage"]["output_tokens"] == 256
    assert all(base64.b64decode(data["b64_json"]).startswith(b"\x89PNG") for _, data in sent)


async def test_without_partial_images_only_the_picture_comes(client: httpx.AsyncClient) -> None:
    assert [name for name, _ in await streamed(client)] == ["image_generation.completed"]


async def test_a_url_is_never_streamed(client: httpx.AsyncClient, drawing: Drawing) -> None:
    ((_, data),) = await streamed(client, response_format="url")
    assert "url" not in data
    assert drawing.last.delivery == "b64_json"


@pytest.mark.parametrize(
    ("failure", "code"),
    [(OverloadedError(), "SERVICE_UNAVAILABLE"), (KeyError("secret"), "INTERNAL_ERROR")],
)
async def test_a_failure_is_an_event_with_a_nested_error(
    client: httpx.AsyncClient, drawing: Drawing, failure: Exception, code: str
) -> None:
    drawing.failure = failure
    sent = await streamed(client, partial_images=1)
    assert [name for name, _ in sent] == ["image_generation.partial_image", "error"]
    assert sent[-1][1]["type"] == "error"
    assert sent[-1][1]["error"]["code"] == code
    assert set(sent[-1][1]["error"]) == {"message", "type", "param", "code"}
    assert "secret" not in json.dumps(sent[-1][1])


async def test_what_is_wrong_with_a_request_is_plain_json(client: httpx.AsyncClient) -> None:
    answer = await client.post(ROUTE, json=BODY | {"n": 2})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "n"


async def test_the_last_event_ends_the_answer(make_app: MakeApp) -> None:
    sent: list[Message] = []
    body = json.dumps(BODY | {"partial_images": 1}).encode()
    received = asyncio.Queue[Message]()
    received.put_nowait({"type": "http.request", "body": body})

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": ROUTE,
        "query_string": b"",
        "headers": [(b"content-type", b"application/json"), (b"host", b"krea.test")],
    }
    await make_app()(scope, received.get, send)
    _, preview, picture = sent
    assert preview["more_body"] is True
    assert picture["body"].startswith(b"event: image_generation.completed")
    assert picture["more_body"] is False


async def slow(num_chunks: int, pause_s: float) -> AsyncGenerator[Chunk]:
    for index in range(num_chunks):
        await asyncio.sleep(pause_s)
        yield Chunk(str(index).encode())


async def test_a_silent_stream_is_kept_alive() -> None:
    chunks = [chunk async for chunk in with_keep_alives(slow(2, 0.5), period_s=0.1)]
    assert [chunk for chunk in chunks if chunk != KEEP_ALIVE] == [Chunk(b"0"), Chunk(b"1")]
    assert chunks[0] == chunks[-2] == KEEP_ALIVE


async def test_a_busy_stream_needs_no_comments() -> None:
    assert [chunk async for chunk in with_keep_alives(slow(3, 0), period_s=60)] == [
        Chunk(b"0"),
        Chunk(b"1"),
        Chunk(b"2"),
    ]


@pytest.mark.parametrize("leave", ["close", "cancel"])
async def test_leaving_a_stream_closes_what_feeds_it(leave: str) -> None:
    closed = asyncio.Event()

    async def endless() -> AsyncGenerator[Chunk]:
        try:
            yield Chunk(b"0")
            await asyncio.Event().wait()
        finally:
            closed.set()

    stream = with_keep_alives(endless(), period_s=0.05)
    assert await anext(stream) == Chunk(b"0")
    assert await anext(stream) == KEEP_ALIVE
    if leave == "close":
        await stream.aclose()
    else:
        task = asyncio.create_task(read_all(stream))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    async with asyncio.timeout(10):
        await closed.wait()


async def read_all(stream: AsyncGenerator[Chunk]) -> None:
    async for _ in stream:
        pass
