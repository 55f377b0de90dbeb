"""What the log and the metrics are told of a request, however it ends."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

import pytest

from serve_app.api.observed import Observed, note_retry
from serve_app.deadline import Deadline
from serve_app.messages import GenerationParams, GenerationResult, Priority
from tests.unit.api.conftest import MakeClient
from tests.unit.api.drawing import SPENT, Drawing

PATH = "/v1/images/generations"
BODY: dict[str, Any] = {"prompt": "a secret prompt", "size": "96x64", "seed": 5, "n": 2}
KEY = "sk-a-secret-key"


@dataclass
class Seen:
    """Remembers what it was told."""

    num_begun: int = 0
    ended_ones: list[Observed] = field(default_factory=list)

    def begun(self) -> None:
        self.num_begun += 1

    def ended(self, observed: Observed) -> None:
        self.ended_ones.append(observed)

    @property
    def last(self) -> Observed:
        assert self.num_begun == len(self.ended_ones)
        return self.ended_ones[-1]


@pytest.fixture
def seen() -> Seen:
    return Seen()


async def test_a_request_that_was_answered(make_client: MakeClient, seen: Seen) -> None:
    async with make_client(observer=seen) as client:
        await client.post(PATH, json=BODY)
    assert (seen.last.method, seen.last.route, seen.last.outcome) == ("POST", PATH, "200")
    assert (seen.last.error_code, seen.last.num_images, seen.last.spent) == ("", 2, SPENT)
    assert seen.last.params is not None
    assert seen.last.params.priority == Priority.STANDARD
    assert seen.last.seconds > 0


@pytest.mark.parametrize(
    ("method", "path", "route", "status", "code"),
    [
        ("GET", "/v1/models/secret", "/v1/models/{name:path}", "404", "MODEL_NOT_FOUND"),
        ("GET", "/v1/secret", "unknown", "404", "NOT_FOUND"),
        ("GET", PATH, PATH, "405", "METHOD_NOT_ALLOWED"),
        ("POST", PATH, PATH, "415", "UNSUPPORTED_MEDIA_TYPE"),
        ("GET", "/healthz", "/healthz", "200", ""),
    ],
)
async def test_a_route_is_named_as_it_was_declared(
    make_client: MakeClient, seen: Seen, method: str, path: str, route: str, status: str, code: str
) -> None:
    async with make_client(observer=seen) as client:
        await client.request(method, path)
    observed = seen.last
    assert (observed.route, observed.outcome, observed.error_code) == (route, status, code)


@pytest.mark.parametrize(
    ("authorization", "reason"),
    [
        (None, "missing"),
        ("Bearer ", "missing"),
        ("Basic abc", "scheme"),
        (KEY, "scheme"),
        ("Bearer wrong", "unknown"),
    ],
)
async def test_what_is_wrong_with_a_key_is_told_to_who_counts_alone(
    make_client: MakeClient, seen: Seen, authorization: str | None, reason: str
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    async with make_client(observer=seen, api_key=KEY) as client:
        answer = await client.post(PATH, json=BODY, headers=headers)
    assert seen.last.error is not None
    assert (answer.status_code, seen.last.error.reason) == (401, reason)
    assert answer.json()["error"]["message"] == "Invalid or missing API key."


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_a_request_s_line_says_how_often_it_was_begun_again(
    make_client: MakeClient,
    seen: Seen,
    drawing: Drawing,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    is_streamed: bool,
) -> None:
    caplog.set_level(logging.INFO)
    generate, stream = drawing.generate, drawing.stream

    async def noted() -> None:
        note_retry()

    async def unlucky() -> None:
        if drawing.asked[-1].seed == 5:
            # As pictures do: each in a task of its own.
            await asyncio.gather(noted(), noted(), noted())

    async def generated(params: GenerationParams, deadline: Deadline) -> GenerationResult:
        result = await generate(params, deadline)
        await unlucky()
        return result

    async def streamed(params: GenerationParams, deadline: Deadline) -> AsyncGenerator[Any]:
        async for image in stream(params, deadline):
            await unlucky()
            yield image

    monkeypatch.setattr(drawing, "generate", generated)
    monkeypatch.setattr(drawing, "stream", streamed)
    async with make_client(observer=seen) as client:
        for seed in (5, 6):
            body = BODY | {"seed": seed, "n": 1, "stream": is_streamed}
            assert (await client.post(PATH, json=body)).status_code == 200
        await client.get("/healthz")
    lines = [each.__dict__["access"] for each in caplog.records if each.name == "serve_app.access"]
    assert [line.get("num_retries") for line in lines] == [3, 0, None]
    assert [observed.num_retries for observed in seen.ended_ones] == [3, 0, 0]


async def test_a_missing_key_and_a_bug_are_named(
    make_client: MakeClient, seen: Seen, drawing: Drawing
) -> None:
    async with make_client(observer=seen, api_key=KEY) as client:
        await client.post(PATH, json=BODY)
        assert (seen.last.outcome, seen.last.error_code) == ("401", "AUTHENTICATION_FAILED")
        drawing.failure = RuntimeError("a bug")
        await client.post(PATH, json=BODY, headers={"Authorization": f"Bearer {KEY}"})
        assert (seen.last.outcome, seen.last.error_code) == ("500", "INTERNAL_ERROR")


async def test_a_stream_that_fails_after_its_200(
    make_client: MakeClient, seen: Seen, drawing: Drawing
) -> None:
    drawing.failure = RuntimeError("a bug")
    async with make_client(observer=seen) as client:
        await client.post(PATH, json=BODY | {"stream": True, "n": 1})
    assert (seen.last.outcome, seen.last.error_code) == ("200", "INTERNAL_ERROR")
    assert seen.last.num_images == 0


async def test_a_client_that_leaves(make_client: MakeClient, seen: Seen, drawing: Drawing) -> None:
    drawing.is_endless = True
    async with make_client(observer=seen) as client:
        request = asyncio.create_task(client.post(PATH, json=BODY))
        await drawing.started.wait()
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
    assert (seen.last.status, seen.last.outcome, seen.last.num_images) == (None, "cancelled", 0)


async def test_the_log_does_not_open_pictures(
    make_client: MakeClient, drawing: Drawing, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    name = await drawing.images.put(b"a picture", "png")
    async with make_client() as client:
        assert (await client.get(drawing.images.url(name, "/media"))).status_code == 200
    assert "GET /media/{name} 200" in caplog.text
    assert name not in caplog.text


async def test_the_log_has_facts_for_machines_and_no_secrets(
    make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    headers = {"Authorization": f"Bearer {KEY}", "x-request-id": "mine"}
    async with make_client(api_key=KEY) as client:
        answer = await client.post(f"{PATH}?secret=1", json=BODY, headers=headers)
    (record,) = [record for record in caplog.records if record.name == "serve_app.access"]
    facts = record.__dict__["access"]
    assert facts["id"] == answer.headers["x-lumenfall-request-id"]
    assert facts["x_request_id"] == "mine"
    assert (facts["size"], facts["seed"], facts["num_images"]) == ("96x64", 5, 2)
    assert facts["stage_milliseconds"] == SPENT.milliseconds
    assert "error_code" not in facts
    assert "secret" not in str(record.__dict__)
