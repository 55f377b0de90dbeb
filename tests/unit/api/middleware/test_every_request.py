"""What the middleware does where no client library would show it."""

from collections.abc import MutableMapping
from contextvars import ContextVar
from functools import partial
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from serve_app.api.middleware.access import AccessLog
from serve_app.api.middleware.every_request import AnswerUnexpectedErrors, RequestIds
from serve_app.api.observed import NoObserver, Observed
from tests.unit.api.conftest import MakeApp
from tests.unit.api.drawing import Drawing

Sent = list[MutableMapping[str, Any]]


async def call(app: Any, scope: Scope) -> Sent:
    """Return the messages that an app sends for a request without a body."""
    sent: Sent = []
    await run(app, scope, sent)
    return sent


async def run(app: Any, scope: Scope, sent: Sent) -> None:
    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)


def http_scope(method: str, path: str) -> dict[str, Any]:
    return {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": [],
        "state": {"request_id": "req_1", "observed": Observed(method)},
    }


async def test_an_answer_that_has_begun_is_not_begun_again() -> None:
    async def half_an_answer(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("too late")

    sent: Sent = []
    with pytest.raises(RuntimeError, match="too late"):
        await run(AnswerUnexpectedErrors(half_an_answer), http_scope("GET", "/"), sent)
    assert [message["type"] for message in sent] == ["http.response.start"]


async def test_head_sends_the_headers_of_get_and_no_body(
    make_app: MakeApp, drawing: Drawing
) -> None:
    name = await drawing.images.put(b"a picture", "png")
    url = drawing.images.url(name, "/media")
    start, *bodies = await call(make_app(), http_scope("HEAD", url))
    assert (b"content-length", b"9") in start["headers"]
    assert b"".join(body["body"] for body in bodies) == b""


@pytest.mark.parametrize(
    "middleware",
    [
        partial(RequestIds, announce=lambda request_id: None),
        partial(AccessLog, observer=NoObserver()),
        AnswerUnexpectedErrors,
    ],
)
async def test_what_is_not_a_request_passes(middleware: Any) -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(dict(scope))

    await call(middleware(app), {"type": "lifespan"})
    assert seen == [{"type": "lifespan"}]


async def test_the_name_of_a_request_is_announced_within_it() -> None:
    current: ContextVar[str] = ContextVar("current")

    def announce(request_id: str) -> None:
        current.set(request_id)

    seen: list[tuple[str, str]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((current.get(), scope["state"]["request_id"]))

    await call(RequestIds(app, announce=announce), http_scope("GET", "/"))
    ((announced, named),) = seen
    assert announced == named
    assert named.startswith("req_")
