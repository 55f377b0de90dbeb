"""Every failure becomes OpenAI's error body, and none says more than it should."""

import asyncio
import json
import logging
import pickle

import httpx
import pytest

from serve_app.errors import (
    DeadlineExceededError,
    InvalidRequestError,
    OverloadedError,
    ReplicasExhaustedError,
    StageFailedError,
)
from tests.unit.api.conftest import MakeClient
from tests.unit.api.drawing import Drawing

PATH = "/v1/images/generations"
BODY = {"prompt": "the secret prompt", "size": "256x256"}


@pytest.mark.parametrize(
    ("failure", "status", "code", "headers"),
    [
        (OverloadedError(retry_after_s=7), 503, "SERVICE_UNAVAILABLE", {"retry-after": "7"}),
        (DeadlineExceededError("Too late."), 504, "TIMEOUT", {"x-should-retry": "false"}),
        (ReplicasExhaustedError(), 502, "ALL_PROVIDERS_EXHAUSTED", {}),
        (StageFailedError("vae"), 500, "INTERNAL_ERROR", {}),
    ],
)
async def test_the_pipeline_s_failures(
    client: httpx.AsyncClient,
    drawing: Drawing,
    failure: Exception,
    status: int,
    code: str,
    headers: dict[str, str],
) -> None:
    drawing.failure = failure
    response = await client.post(PATH, json=BODY)
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (status, code)
    assert (error["type"], error["param"]) == ("server_error", None)
    assert headers.items() <= dict(response.headers).items()
    assert response.headers["x-lumenfall-request-id"] == drawing.last.request_id


async def test_a_replica_s_traceback_is_not_answered(
    client: httpx.AsyncClient, drawing: Drawing
) -> None:
    class FromReplicaError(InvalidRequestError):
        """As Ray wraps an error: an instance of its class, whose text is the traceback."""

        def __init__(self, cause: InvalidRequestError) -> None:
            self.__dict__.update(cause.__dict__)

        def __str__(self) -> str:
            return 'Traceback … File "/srv/vae.py", line 7'

    cause = pickle.loads(pickle.dumps(InvalidRequestError("'n' is odd.", "n")))
    drawing.failure = FromReplicaError(cause)
    response = await client.post(PATH, json=BODY)
    assert response.status_code == 400
    assert response.json()["error"]["message"] == "'n' is odd."
    assert response.json()["error"]["param"] == "n"


async def test_a_bug_is_logged_and_not_answered(
    client: httpx.AsyncClient, drawing: Drawing, caplog: pytest.LogCaptureFixture
) -> None:
    drawing.failure = RuntimeError("/srv/secret/path")
    response = await client.post(PATH, json=BODY)
    assert response.status_code == 500
    assert response.json() == {
        "error": {
            "message": "Internal server error.",
            "type": "server_error",
            "param": None,
            "code": "INTERNAL_ERROR",
        }
    }
    request_id = response.headers["x-lumenfall-request-id"]
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert request_id in record.getMessage()
    assert record.exc_info is not None
    assert "/srv/secret/path" in str(record.exc_info[1])


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("POST", "/v1/chat/completions", 404, "NOT_FOUND"),
        ("GET", "/v2/models", 404, "NOT_FOUND"),
        ("POST", "/v1/images/generations/", 404, "NOT_FOUND"),
        ("GET", "/media/a/b.png", 404, "NOT_FOUND"),
        ("GET", "/v1/images/generations", 405, "METHOD_NOT_ALLOWED"),
        ("PUT", "/openai/v1/images/generations", 405, "METHOD_NOT_ALLOWED"),
        ("POST", "/v1/models", 405, "METHOD_NOT_ALLOWED"),
        ("DELETE", "/healthz", 405, "METHOD_NOT_ALLOWED"),
    ],
)
async def test_wrong_doors(
    client: httpx.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    response = await client.request(method, path)
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (status, code)
    assert set(error) == {"message", "type", "param", "code"}
    assert path in error["message"]
    assert response.headers["x-lumenfall-request-id"].startswith("req_")


async def test_a_405_says_what_is_allowed(client: httpx.AsyncClient) -> None:
    response = await client.get(PATH)
    assert response.headers["allow"] == "POST"


async def test_a_client_that_goes_away_cancels_the_work(
    make_client: MakeClient, drawing: Drawing, caplog: pytest.LogCaptureFixture
) -> None:
    drawing.is_endless = True
    async with make_client() as client:
        request = asyncio.create_task(client.post(PATH, json=BODY))
        await drawing.started.wait()
        with caplog.at_level(logging.INFO):
            request.cancel()
            with pytest.raises(asyncio.CancelledError):
                await request
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert any("cancelled" in record.getMessage() for record in caplog.records)


async def test_the_access_log_has_the_ids_and_not_the_prompt(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    response = await client.post(
        f"{PATH}?dryRun=secret", json=BODY, headers={"x-request-id": "proxy-1"}
    )
    ours = [record.getMessage() for record in caplog.records if "serve_app" in record.name]
    (line,) = ours
    assert line.startswith(f"POST {PATH} 200 ")
    assert response.headers["x-lumenfall-request-id"] in line
    assert "x-request-id=proxy-1" in line
    assert "secret" not in line


async def test_nobody_writes_lines_into_the_log(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await client.get("/v1/models/x%0Afake%20line")
    lines = [r.getMessage() for r in caplog.records if r.name == "serve_app.access"]
    assert len(lines) == 1
    assert "\n" not in lines[0]


async def test_half_a_surrogate_pair_in_a_value_does_not_break_the_answer(
    client: httpx.AsyncClient,
) -> None:
    content = json.dumps({"prompt": "x", "output_format": "\ud800"})
    headers = {"content-type": "application/json"}
    response = await client.post(PATH, content=content, headers=headers)
    assert (response.status_code, response.json()["error"]["param"]) == (400, "output_format")
