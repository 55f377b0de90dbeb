"""A place among the running requests is free in time for the next one, and when nobody waits."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Message

from serve_app.api.middleware.admitted import AdmittedResponse
from serve_app.limits.admission import Gatekeeper
from serve_app.limits.gate import Gate
from serve_app.limits.ledger import Ledger
from tests.unit.limits.simulation import Network, limits

SCOPE = {"type": "http", "asgi": {"spec_version": "2.4"}}


class Work:
    """What takes its time behind an endpoint."""

    def __init__(self) -> None:
        self.may_end = asyncio.Event()
        self.started = asyncio.Event()

    async def answer(self) -> Response:
        self.started.set()
        await self.may_end.wait()
        return JSONResponse({"created": 1})

    async def stream(self) -> Response:
        return StreamingResponse(self._events(), media_type="text/event-stream")

    async def _events(self) -> AsyncGenerator[bytes]:
        self.started.set()
        yield b"data: 1\n\n"
        await self.may_end.wait()
        yield b"data: 2\n\n"


def admit_one() -> Gatekeeper:
    allowed = limits(concurrent=1)
    return Gate(allowed, Network(allowed, Ledger(allowed)))


async def never() -> Message:
    await asyncio.Event().wait()
    raise AssertionError


@pytest.mark.parametrize("kind", ["answer", "stream"])
async def test_a_place_is_free_before_the_client_has_the_last_byte(kind: str) -> None:
    work, gatekeeper = Work(), admit_one()
    work.may_end.set()
    is_free: list[bool] = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            async with gatekeeper.admit("kr_a", 1):
                is_free.append(True)

    await AdmittedResponse(gatekeeper.admit("kr_a", 1), getattr(work, kind))(SCOPE, never, send)
    assert is_free == [True]


@pytest.mark.parametrize("kind", ["answer", "stream"])
async def test_a_place_is_free_when_the_client_leaves(kind: str) -> None:
    work, gatekeeper = Work(), admit_one()

    async def send(message: Message) -> None:
        pass

    response = AdmittedResponse(gatekeeper.admit("kr_a", 1), getattr(work, kind))
    task = asyncio.ensure_future(response(SCOPE, never, send))
    await work.started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with gatekeeper.admit("kr_a", 1):
        pass
