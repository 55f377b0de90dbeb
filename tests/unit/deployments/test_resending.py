"""A request whose ingress died goes to another, once, and keeps its id."""

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.api.middleware.every_request import REQUEST_ID, RequestIds
from serve_app.deployments.resending import Body, Room, SendAgain

CHUNKS = (b"a red ", b"circle on ", b"a blue background")
WHOLE = b"".join(CHUNKS)


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with what came."""
    body = await Request(scope, receive).body()
    answer = {"body": body.decode(), "path": scope["path"], "id": scope[REQUEST_ID]}
    await JSONResponse(answer)(scope, receive, send)


class Mortal:
    """A proxy whose ingress dies the first times, after it has read so many messages."""

    def __init__(self, num_deaths: int, num_read: int = 3, raises: bool = False) -> None:
        self.ids: list[str] = []
        self._num_deaths, self._num_read, self._raises = num_deaths, num_read, raises

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.ids.append(scope[REQUEST_ID])
        if len(self.ids) > self._num_deaths:
            await echo(scope, receive, send)
            return
        # As Serve's does once it knows where a request goes.
        scope["path"] = scope["root_path"] = "/elsewhere"
        for _ in range(self._num_read):
            await receive()
        if self._raises:
            raise RuntimeError("the actor died")


async def chunks() -> AsyncIterator[bytes]:
    for chunk in CHUNKS:
        yield chunk


async def answer_of(
    app: ASGIApp, content: AsyncIterator[bytes] | bytes | None = None
) -> httpx.Response:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://proxy") as client:
        return await client.post("/v1/images", content=content or chunks())


@pytest.mark.parametrize("raises", [False, True])
@pytest.mark.parametrize("num_read", [0, 1, 3])
async def test_what_the_first_has_read_the_second_reads_too(num_read: int, raises: bool) -> None:
    proxy = Mortal(1, num_read, raises)
    answer = await answer_of(SendAgain(proxy))
    assert answer.json() == {"body": WHOLE.decode(), "path": "/v1/images", "id": proxy.ids[0]}
    assert proxy.ids == [proxy.ids[0]] * 2


async def test_a_request_that_is_answered_is_sent_once() -> None:
    proxy = Mortal(0)
    assert (await answer_of(SendAgain(proxy))).status_code == 200
    assert len(proxy.ids) == 1


async def test_it_is_not_sent_a_third_time() -> None:
    proxy = Mortal(2, raises=True)
    assert (await answer_of(SendAgain(proxy))).status_code == 500
    assert len(proxy.ids) == 2


async def test_every_request_has_an_id_of_its_own() -> None:
    proxy = Mortal(0)
    app = SendAgain(proxy)
    await answer_of(app)
    await answer_of(app)
    assert len(set(proxy.ids)) == 2


async def test_an_answer_that_has_begun_is_not_begun_again() -> None:
    calls = 0

    async def breaks_off(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal calls
        calls += 1
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("the actor died")

    with pytest.raises(RuntimeError):
        await run(SendAgain(breaks_off), [{"type": "http.request", "body": b""}])
    assert calls == 1


async def test_who_has_left_is_not_asked_for_again() -> None:
    calls = 0

    async def notices(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal calls
        calls += 1
        with pytest.raises(ClientDisconnect):
            await Request(scope, receive).body()

    await run(SendAgain(notices), [{"type": "http.disconnect"}])
    assert calls == 1


@pytest.mark.parametrize(("room", "num_sent"), [(len(WHOLE) - 1, 1), (len(WHOLE), 2)])
async def test_a_body_for_which_there_is_no_room_is_not_sent_again(
    room: int, num_sent: int
) -> None:
    proxy = Mortal(1, raises=True)
    answer = await answer_of(SendAgain(proxy, room))
    assert (answer.status_code == 200) == (num_sent == 2)
    assert len(proxy.ids) == num_sent


async def test_room_is_free_again_once_an_answer_has_begun() -> None:
    proxy = Mortal(1)
    app = SendAgain(proxy, len(WHOLE))
    for _ in range(3):
        assert (await answer_of(app)).json()["body"] == WHOLE.decode()
    room = Room(5)
    body = Body(receiver([{"type": "http.request", "body": b"12345"}]), room)
    await body.from_start()()
    assert not room.takes(1)
    body.forget()
    body.forget()
    assert room.takes(5)
    assert not room.takes(1)


async def test_the_ingress_names_a_request_as_the_proxy_did() -> None:
    announced: list[str] = []
    app = SendAgain(RequestIds(echo, announced.append))
    answer = await answer_of(app)
    assert announced == [answer.json()["id"]]
    assert answer.headers["x-lumenfall-request-id"] == announced[0]


class Unknown:
    """A proxy that knows no application the first times."""

    def __init__(self, num_pages: int) -> None:
        self.num_calls = 0
        self._num_pages = num_pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.num_calls += 1
        page = PlainTextResponse("Path '/v1/images' not found.", 404)
        await (page if self.num_calls <= self._num_pages else echo)(scope, receive, send)


async def test_a_proxy_that_knows_no_application_yet_is_asked_again() -> None:
    proxy = Unknown(1)
    answer = await answer_of(SendAgain(proxy))
    assert (answer.status_code, answer.json()["body"]) == (200, WHOLE.decode())
    assert proxy.num_calls == 2


async def test_but_not_for_ever() -> None:
    proxy = Unknown(99)
    answer = await answer_of(SendAgain(proxy, hold_s=0.0))
    assert (answer.status_code, answer.text) == (404, "Path '/v1/images' not found.")
    assert proxy.num_calls == 2


async def test_one_that_knew_an_application_does_not_wait_for_another() -> None:
    known, app = Mortal(0), Unknown(99)
    served: ASGIApp = known

    async def proxy(scope: Scope, receive: Receive, send: Send) -> None:
        await served(scope, receive, send)

    wrapped = SendAgain(proxy, hold_s=3600)
    assert (await answer_of(wrapped)).status_code == 200
    served = app
    assert (await answer_of(wrapped)).status_code == 404


async def test_a_404_of_ours_is_an_answer() -> None:
    calls = 0

    async def ours(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal calls
        calls += 1
        await JSONResponse({"error": {}}, 404)(scope, receive, send)

    assert (await answer_of(SendAgain(ours))).status_code == 404
    assert calls == 1


def receiver(messages: list[Message]) -> Receive:
    left = iter(messages)

    async def receive() -> Message:
        return next(left)

    return receive


async def run(app: ASGIApp, messages: list[Message]) -> None:
    async def send(message: Message) -> None:
        pass

    scope = {"type": "http", "method": "POST", "path": "/", "root_path": "", "headers": []}
    await app(scope, receiver(messages), send)
