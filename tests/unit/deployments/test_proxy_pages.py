"""A client of ours never gets a page of Serve's proxy."""

import httpx
import pytest
from ray._common.utils import import_attr
from ray.serve._private.http_util import RequestIdMiddleware
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from serve_app.deployments.proxy_pages import IMPORT_PATH, RETRY_AFTER_S
from serve_app.deployments.resending import SendAgain

PAGE = "Path '/v1/models' not found. Ping http://.../-/routes for available routes."


def wrapped(app: ASGIApp) -> ASGIApp:
    """Return a proxy as Serve would wrap it, but that it waits for no application to be known."""
    for middleware in import_attr(IMPORT_PATH)():
        at_once = {"hold_s": 0.0} if middleware.cls is SendAgain else {}
        app = middleware.cls(app, *middleware.args, **middleware.kwargs, **at_once)
    return app


async def got(answer: Response, path: str = "/v1/models") -> httpx.Response:
    """Return what a client gets of a proxy that always says the same."""

    async def proxy(scope: Scope, receive: Receive, send: Send) -> None:
        answer.headers["x-request-id"] = "abc"
        await answer(scope, receive, send)

    return await got_of(proxy, path)


async def got_of(proxy: ASGIApp, path: str = "/v1/models") -> httpx.Response:
    transport = httpx.ASGITransport(wrapped(proxy), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://proxy") as client:
        return await client.get(path)


@pytest.mark.parametrize(
    ("status", "our_status", "code"),
    [
        (404, 503, "SERVICE_UNAVAILABLE"),
        (408, 504, "TIMEOUT"),
        (500, 500, "INTERNAL_ERROR"),
        (503, 503, "SERVICE_UNAVAILABLE"),
        (429, 500, "INTERNAL_ERROR"),
    ],
)
async def test_pages_become_errors(status: int, our_status: int, code: str) -> None:
    answer = await got(PlainTextResponse(PAGE, status))
    assert (answer.status_code, answer.json()["error"]["code"]) == (our_status, code)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers.get_list("content-length") == [str(len(answer.content))]
    assert answer.headers.get_list("x-request-id") == ["abc"]
    assert "Ping" not in answer.text


async def silent(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer nothing, as Serve's does when the replica died."""


async def broken(scope: Scope, receive: Receive, send: Send) -> None:
    raise RuntimeError("broken")


@pytest.mark.parametrize("proxy", [silent, broken])
async def test_silence_becomes_an_error(proxy: ASGIApp) -> None:
    answer = await got_of(RequestIdMiddleware(proxy))
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "INTERNAL_ERROR")
    assert_has_ids(answer)


@pytest.mark.parametrize("status", [404, 500, 503])
async def test_a_page_s_answer_has_both_ids_once(status: int) -> None:
    answer = await got_of(RequestIdMiddleware(PlainTextResponse(PAGE, status)))
    assert_has_ids(answer)


def assert_has_ids(answer: httpx.Response) -> None:
    (serve_id,) = answer.headers.get_list("x-request-id")
    (our_id,) = answer.headers.get_list("x-lumenfall-request-id")
    assert serve_id
    assert our_id.startswith("req_")


@pytest.mark.parametrize("status", [404, 503])
async def test_a_proxy_without_a_replica_says_when_to_come_back(status: int) -> None:
    answer = await got(PlainTextResponse("", status))
    assert answer.headers["retry-after"] == str(RETRY_AFTER_S)


@pytest.mark.parametrize(
    ("answer", "path"),
    [
        (JSONResponse({"error": {}}, 503), "/v1/models"),
        (PlainTextResponse("fine"), "/v1/models"),
        (PlainTextResponse("unavailable", 503), "/-/healthz"),
    ],
)
async def test_all_else_passes_as_it_is(answer: Response, path: str) -> None:
    before = (answer.status_code, bytes(answer.body))
    after = await got(answer, path)
    assert (after.status_code, after.content) == before
