"""Whoever writes slowly is waited for as long as is allowed, and keeps nobody else out."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx
import pytest

from tests.unit.api.conftest import MakeApp, MakeClient
from tests.unit.api.drawing import Drawing
from tests.unit.api.live_server import serving_app
from tests.unit.api.raw_exchange import connection, read_answer

PATH = "/v1/images/generations"
BODY = {"prompt": "a circle", "size": "64x64"}
FORM = b"multipart/form-data; boundary=A"


def head(path: str, content_type: bytes, num_bytes: int) -> bytes:
    lines = [
        b"POST %s HTTP/1.1" % path.encode(),
        b"Host: krea.test",
        b"Content-Type: " + content_type,
        b"Content-Length: %d" % num_bytes,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n"


@pytest.mark.parametrize(
    ("path", "content_type", "begin"),
    [
        (PATH, b"application/json", b""),
        ("/openai" + PATH, b"application/json", b"{"),
        (
            "/v1/images/edits",
            FORM,
            b'--A\r\nContent-Disposition: form-data; name="prompt"\r\n\r\nx',
        ),
    ],
)
async def test_a_body_that_does_not_come_is_refused_and_the_connection_closed(
    make_app: MakeApp, path: str, content_type: bytes, begin: bytes
) -> None:
    async with (
        serving_app(make_app(body_timeout_s=0.3)) as port,
        connection(port) as (reader, writer),
        asyncio.timeout(60),
    ):
        writer.write(head(path, content_type, 1000) + begin)
        answer = await read_answer(reader)
        assert await reader.read() == b""
    assert answer.status == 400
    assert json.loads(answer.body)["error"] == {
        "message": "The request body did not arrive within 0.3 seconds.",
        "type": "invalid_request_error",
        "param": None,
        "code": "REQUEST_TIMEOUT",
    }


async def test_bytes_now_and_then_do_not_prolong_it(make_app: MakeApp) -> None:
    async def drip(writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b" ")
            await asyncio.sleep(0.02)

    async with (
        serving_app(make_app(body_timeout_s=0.3)) as port,
        connection(port) as (reader, writer),
        asyncio.timeout(60),
    ):
        writer.write(head(PATH, b"application/json", 10**6))
        dripping = asyncio.create_task(drip(writer))
        answer = await read_answer(reader)
        dripping.cancel()
    assert json.loads(answer.body)["error"]["code"] == "REQUEST_TIMEOUT"


async def test_it_is_in_the_history_as_the_client_s_error(
    make_client: MakeClient, drawing: Drawing
) -> None:
    async def silent() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    async with make_client(body_timeout_s=0.1) as client:
        headers = {"content-type": "application/json"}
        answer = await client.post(PATH, content=silent(), headers=headers)
        assert answer.status_code == 400
        (entry,) = (await client.get("/v1/requests")).json()["data"]
    assert (entry["status"], entry["error_code"]) == ("rejected", "REQUEST_TIMEOUT")
    assert drawing.asked == []


async def test_the_time_ends_with_the_body_and_not_with_the_answer(
    make_client: MakeClient, drawing: Drawing
) -> None:
    drawing.is_endless = True
    async with make_client(body_timeout_s=0.1, deadline_s=0.5) as client:
        answer = await client.post(PATH, json=BODY)
        assert answer.status_code == 504
        stream = await client.post(PATH, json=BODY | {"stream": True})
    assert '"TIMEOUT"' in stream.text


async def test_slow_writers_keep_nobody_out_and_the_oldest_gives_way(make_app: MakeApp) -> None:
    app = make_app(max_pending_requests=3)
    async with serving_app(app) as port, AsyncExitStack() as slow, asyncio.timeout(60):
        slow_ones = []
        for _ in range(3):
            reader, writer = await slow.enter_async_context(connection(port))
            writer.write(head(PATH, b"application/json", 1000) + b"{")
            slow_ones.append(reader)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            await asyncio.sleep(0.2)
            for _ in range(5):
                assert (await client.post(PATH, json=BODY)).status_code == 200
            refused = await read_answer(slow_ones[0])
            history = (await client.get("/v1/requests")).json()["data"]
        assert refused.status == 503
        assert int(refused.header("retry-after")) >= 1
        assert json.loads(refused.body)["error"]["code"] == "SERVICE_UNAVAILABLE"
        # One place for those who write fast is enough: the others may go on.
        for reader in slow_ones[1:]:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.readexactly(1), 0.1)
    assert [entry["status"] for entry in history] == ["completed"] * 5
