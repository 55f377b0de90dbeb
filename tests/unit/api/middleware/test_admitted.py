"""A request runs when its caller's limits allow it, and holds its place while it runs."""

import asyncio
from typing import Any

import httpx
import pytest

from serve_app.config import LimitsConfig
from serve_app.deployments.limiter import Limiter
from serve_app.errors import OverloadedError
from serve_app.limits.admission import Gatekeeper
from serve_app.limits.gate import Gate
from serve_app.limits.meters import limits_of
from tests.unit.api.conftest import MakeClient
from tests.unit.api.drawing import Drawing

PATH = "/v1/images/generations"
BODY: dict[str, Any] = {"prompt": "a circle", "size": "64x64"}


def limited(**limits: int) -> Gatekeeper:
    config = LimitsConfig(**limits)
    return Gate(limits_of(config), Limiter(config))


async def history(client: httpx.AsyncClient) -> list[tuple[str, str | None]]:
    entries = (await client.get("/v1/requests")).json()["data"]
    return [(entry["status"], entry["error_code"]) for entry in entries]


async def test_without_limits_nothing_is_said_of_them(client: httpx.AsyncClient) -> None:
    response = await client.post(PATH, json=BODY)
    assert not [name for name in response.headers if name.startswith("x-ratelimit")]


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_every_answer_says_what_is_left(make_client: MakeClient, is_streamed: bool) -> None:
    async with make_client(gatekeeper=limited(requests_per_minute=10)) as client:
        left = []
        for _ in range(3):
            response = await client.post(PATH, json=BODY | {"stream": is_streamed})
            assert response.headers["x-ratelimit-limit-requests"] == "10"
            left.append(response.headers["x-ratelimit-remaining-requests"])
    assert left == ["9", "8", "7"]


async def test_too_many_are_told_when_to_come_back(
    make_client: MakeClient, drawing: Drawing
) -> None:
    async with make_client(gatekeeper=limited(requests_per_minute=2)) as client:
        for _ in range(2):
            assert (await client.post(PATH, json=BODY)).status_code == 200
        refused = await client.post(PATH, json=BODY)
        assert refused.status_code == 429
        error = refused.json()["error"]
        assert (error["type"], error["param"]) == ("rate_limit_error", None)
        assert error["code"] == "RATE_LIMITED"
        assert error["message"].startswith("Rate limit exceeded.")
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert refused.headers["x-ratelimit-remaining-requests"] == "0"
        assert (await history(client))[0] == ("rejected", "RATE_LIMITED")
    assert len(drawing.asked) == 2


async def test_images_count_one_by_one(make_client: MakeClient, drawing: Drawing) -> None:
    async with make_client(gatekeeper=limited(images_per_minute=4)) as client:
        assert (await client.post(PATH, json=BODY | {"n": 3})).status_code == 200
        assert (await client.post(PATH, json=BODY | {"n": 2})).status_code == 429
        assert (await client.post(PATH, json=BODY)).status_code == 200
        impossible = await client.post(PATH, json=BODY | {"n": 5})
    assert (impossible.status_code, impossible.json()["error"]["param"]) == (400, "n")


async def test_what_does_not_run_does_not_count(make_client: MakeClient) -> None:
    headers = {"Idempotency-Key": "order-1"}
    async with make_client(gatekeeper=limited(requests_per_minute=1)) as client:
        assert (await client.post(PATH, json=BODY | {"n": 11})).status_code == 400
        assert (await client.post(PATH, json=BODY, params={"dryRun": "1"})).status_code == 200
        assert (await client.post(PATH, json=BODY, headers=headers)).status_code == 200
        assert (await client.post(PATH, json=BODY, headers=headers)).status_code == 200
        assert (await client.post(PATH, json=BODY)).status_code == 429


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_a_place_is_held_until_the_end_and_no_longer(
    make_client: MakeClient, drawing: Drawing, is_streamed: bool
) -> None:
    body = BODY | {"stream": is_streamed}
    async with make_client(gatekeeper=limited(max_concurrent_requests=1)) as client:
        drawing.is_endless = True
        running = asyncio.create_task(client.post(PATH, json=body))
        await drawing.started.wait()
        assert (await client.post(PATH, json=body)).status_code == 429
        running.cancel()
        await asyncio.wait([running])
        drawing.is_endless = False
        for _ in range(3):
            assert (await client.post(PATH, json=body)).status_code == 200


async def test_a_failure_frees_its_place(make_client: MakeClient, drawing: Drawing) -> None:
    async with make_client(gatekeeper=limited(max_concurrent_requests=1)) as client:
        for failure in (OverloadedError(), RuntimeError("/srv/secret"), None):
            drawing.failure = failure
            response = await client.post(PATH, json=BODY)
            assert response.status_code != 429
