"""A loopback proxy that loses connections, as networks do."""

import asyncio
import math
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

# `reset` and `hang` come before the server has heard anything; `cut` ends its answer early.
Fault = Literal["reset", "hang", "cut"]

CUT_AFTER_BYTES = 64 * 1024
RESET_ON_CLOSE = (1).to_bytes(4, "little") + bytes(4)


@dataclass
class FaultyProxy:
    """Forwards connections to a port of this machine, but for the first ones.

    Attributes:
        server_port: Where good connections lead.
        fault: What happens to bad ones.
        num_faults: How many of them there are.
        num_connections: How many there have been, good or bad.
    """

    server_port: int
    fault: Fault
    num_faults: float = math.inf
    num_connections: int = 0
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Yield the proxy's URL."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.num_connections += 1
        fault = self.fault if self.num_connections <= self.num_faults else None
        self._tasks.add(asyncio.create_task(self._serve(reader, writer, fault)))

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fault: Fault | None
    ) -> None:
        try:
            if fault == "reset":
                await reader.read(1)
                _reset(writer)
            elif fault == "hang":
                await asyncio.Event().wait()
            else:
                await self._forward(reader, writer, CUT_AFTER_BYTES if fault else math.inf)
        finally:
            writer.transport.abort()

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, max_answer_bytes: float
    ) -> None:
        answers, requests = await asyncio.open_connection("127.0.0.1", self.server_port)
        asking = asyncio.create_task(_copy(reader, requests, math.inf))
        try:
            await _copy(answers, writer, max_answer_bytes)
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            requests.transport.abort()


async def _copy(
    source: asyncio.StreamReader, target: asyncio.StreamWriter, max_bytes: float
) -> None:
    num_bytes = 0
    while num_bytes < max_bytes and (chunk := await source.read(8192)):
        num_bytes += len(chunk)
        target.write(chunk)
        await target.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection without a farewell: the other side sees a reset."""
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
