"""OpenAI's client for Python, unchanged: every failure is an error of the class it documents."""

from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest

from serve_app.errors import DeadlineExceededError, OverloadedError, ReplicasExhaustedError
from tests.unit.api.clients.conftest import KEY
from tests.unit.api.clients.front import Front, rate_limited
from tests.unit.api.conftest import MakeApp
from tests.unit.api.drawing import Drawing
from tests.unit.api.live_server import serving_app


@pytest.mark.parametrize(
    ("options", "kind", "param", "code"),
    [
        ({"n": 11}, openai.BadRequestError, "n", "INVALID_REQUEST"),
        ({"prompt": ""}, openai.BadRequestError, "prompt", "INVALID_REQUEST"),
        ({"size": "huge"}, openai.BadRequestError, "size", "INVALID_REQUEST"),
        ({"extra_body": {"steps": 51}}, openai.BadRequestError, "steps", "INVALID_REQUEST"),
        ({"model": "dall-e-3"}, openai.NotFoundError, "model", "MODEL_NOT_FOUND"),
        (
            {"extra_body": {"disable_safety_checker": True}},
            openai.PermissionDeniedError,
            "disable_safety_checker",
            "PERMISSION_DENIED",
        ),
    ],
)
async def test_what_is_refused_names_the_field(
    sdk: openai.AsyncOpenAI,
    options: dict[str, Any],
    kind: type[openai.APIStatusError],
    param: str,
    code: str,
) -> None:
    with pytest.raises(kind) as refused:
        await sdk.images.generate(**{"prompt": "x"} | options)
    assert (refused.value.param, refused.value.code) == (param, code)
    assert param in refused.value.message.lower()


async def test_a_wrong_key(front: Front) -> None:
    async with openai.AsyncOpenAI(base_url=f"{front.url}/v1", api_key="sk-other") as stranger:
        with pytest.raises(openai.AuthenticationError) as refused:
            await stranger.images.generate(prompt="x")
    assert refused.value.code == "AUTHENTICATION_FAILED"
    assert len(front.tries) == 1


async def test_a_wrong_base_url(front: Front) -> None:
    async with openai.AsyncOpenAI(base_url=front.url, api_key=KEY) as lost:
        with pytest.raises(openai.NotFoundError) as refused:
            await lost.images.generate(prompt="x")
    assert refused.value.code == "NOT_FOUND"


async def test_variations_are_gone(sdk: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="/v1/images/edits"), pytest.deprecated_call():
        await sdk.images.create_variation(image=b"x")


@pytest.fixture
async def narrow_sdk(make_app: MakeApp) -> AsyncIterator[openai.AsyncOpenAI]:
    """A client of a server that takes small bodies only."""
    async with (
        serving_app(make_app(max_body_bytes=10_000, max_file_bytes=5000)) as port,
        openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=KEY) as client,
    ):
        yield client


@pytest.mark.parametrize(("num_bytes", "param"), [(5001, "image"), (20_000, None)])
async def test_a_file_that_is_too_large(
    narrow_sdk: openai.AsyncOpenAI, num_bytes: int, param: str | None
) -> None:
    with pytest.raises(openai.APIStatusError) as refused:
        await narrow_sdk.images.edit(image=bytes(num_bytes), prompt="x")
    assert (refused.value.status_code, refused.value.code) == (413, "PAYLOAD_TOO_LARGE")
    assert refused.value.param == param


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (RuntimeError("secret"), 500, "INTERNAL_ERROR"),
        (ReplicasExhaustedError(), 502, "ALL_PROVIDERS_EXHAUSTED"),
        (OverloadedError(), 503, "SERVICE_UNAVAILABLE"),
        (DeadlineExceededError("It took too long."), 504, "TIMEOUT"),
    ],
)
async def test_what_the_server_cannot_do(
    sdk: openai.AsyncOpenAI, drawing: Drawing, failure: Exception, status: int, code: str
) -> None:
    drawing.failure = failure
    with pytest.raises(openai.InternalServerError) as failed:
        await sdk.images.generate(prompt="x", size="64x64")
    assert (failed.value.status_code, failed.value.code) == (status, code)
    assert "secret" not in str(failed.value)


async def test_a_limit_is_a_rate_limit_error(front: Front, sdk: openai.AsyncOpenAI) -> None:
    front.refusals = [rate_limited]
    with pytest.raises(openai.RateLimitError) as limited:
        await sdk.images.generate(prompt="x")
    assert limited.value.code == "RATE_LIMITED"
    assert limited.value.response.headers["retry-after"] == "1"
