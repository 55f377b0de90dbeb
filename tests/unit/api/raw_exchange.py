"""Bytes to a server on loopback, and its answer, without a client that would tidy them up."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

NO_BODY = (204, 304)
WINDOW_BYTES = 65536


@dataclass(frozen=True, slots=True)
class Answer:
    """A response; `head` has the status line and the headers, as sent."""

    status: int
    head: str
    body: bytes

    def header(self, name: str) -> str:
        """Return the value of a header, or nothing."""
        lines = (line.partition(":") for line in self.head.split("\r\n")[1:])
        return next((value.strip() for key, _, value in lines if key.lower() == name), "")


@asynccontextmanager
async def connection(
    port: int,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connect, and drop the connection in the end, whatever is still on its way."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def exchange(port: int, request: bytes) -> Answer:
    """Return the answer to a request, which may come before all of it is sent."""
    async with connection(port) as (reader, writer):
        sending = asyncio.create_task(_send(writer, request))
        try:
            return await read_answer(reader, is_head=request.startswith(b"HEAD "))
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)


async def read_answer(reader: asyncio.StreamReader, is_head: bool = False) -> Answer:
    """Return the next answer on a connection; `100 Continue` is none."""
    while True:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status = int(head.split(" ")[1])
        if status >= 200:
            break
    answer = Answer(status, head, b"")
    if is_head or status in NO_BODY:
        return answer
    return Answer(status, head, await _read_body(reader, answer))


async def _read_body(reader: asyncio.StreamReader, answer: Answer) -> bytes:
    if answer.header("transfer-encoding") == "chunked":
        return await _read_chunks(reader)
    return await reader.readexactly(int(answer.header("content-length")))


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while length := int(await reader.readline(), 16):
        body += await reader.readexactly(length)
        await reader.readline()
    await reader.readline()
    return body


async def _send(writer: asyncio.StreamWriter, request: bytes) -> None:
    for start in range(0, len(request), WINDOW_BYTES):
        writer.write(request[start : start + WINDOW_BYTES])
        await writer.drain()
