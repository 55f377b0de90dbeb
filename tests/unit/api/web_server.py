"""A web server on loopback whose answers are written byte by byte, good and bad ones."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

KEEP_ALIVE = "Connection: keep-alive"

Answer = bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]


def ok(content: bytes, *headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(content)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def redirect(location: str, *headers: str) -> bytes:
    lines = ["HTTP/1.1 302 Found", f"Location: {location}", "Content-Length: 0", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


@dataclass
class WebServer:
    """Remembers the requests it was sent, each as its header lines."""

    answers: Mapping[str, Answer]
    port: int = 0
    requests: list[list[str]] = field(default_factory=list)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._answer_one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client left, as it should in some tests
        finally:
            writer.close()

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request, and return whether another may follow on its connection."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        self.requests.append(head)
        answer = self.answers[head[0].split(" ")[1]]
        if not isinstance(answer, bytes):
            await answer(writer)
            return False
        writer.write(answer)
        await writer.drain()
        return KEEP_ALIVE.encode() in answer


@asynccontextmanager
async def serving(
    answers: Mapping[str, Answer], tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[WebServer]:
    web = WebServer(answers)
    server = await asyncio.start_server(web.answer, host, 0, ssl=tls)
    web.port = server.sockets[0].getsockname()[1]
    async with server:
        yield web
