"""OpenAI's client for Python, unchanged: it comes back when it is told to, and not otherwise."""

from pathlib import Path

import numpy as np
import openai
import pytest

from serve_app.errors import DeadlineExceededError, OverloadedError
from tests.unit.api.clients.conftest import KEY
from tests.unit.api.clients.front import RETRY_AFTER_S, Front, Refusal, overloaded, rate_limited
from tests.unit.api.clients.pictures import only_picture, picture
from tests.unit.api.drawing import Drawing

# Of the client's own, when nobody tells it how long to wait; longer with every further try.
LONGEST_FIRST_BACKOFF_S = 0.5


def retrying(front: Front) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{front.url}/v1", api_key=KEY)


@pytest.mark.parametrize(
    "refusals",
    [[rate_limited], [overloaded], [overloaded, rate_limited]],
    ids=["429", "503", "503 and 429"],
)
async def test_it_waits_as_long_as_it_was_told(
    front: Front, drawing: Drawing, refusals: list[Refusal]
) -> None:
    assert RETRY_AFTER_S > LONGEST_FIRST_BACKOFF_S
    front.refusals = list(refusals)
    async with retrying(front) as sdk:
        answer = await sdk.images.generate(prompt="x", size="64x64")
    assert answer.data is not None
    assert len(front.pauses_s) == len(refusals)
    assert min(front.pauses_s) >= RETRY_AFTER_S
    assert len(drawing.asked) == 1
    counts = [int(tried.headers["x-stainless-retry-count"]) for tried in front.tries]
    assert counts == list(range(len(refusals) + 1))


async def test_it_sends_the_picture_again(front: Front, pictures: Path) -> None:
    front.refusals = [overloaded]
    async with retrying(front) as sdk:
        answer = await sdk.images.edit(
            image=pictures / "image.png",
            prompt="x",
            response_format="b64_json",
            extra_body={"strength": 0},
        )
    assert len(front.tries) == 2
    assert np.array_equal(only_picture(answer), picture())


async def test_it_gives_up_at_last(front: Front, drawing: Drawing) -> None:
    drawing.failure = OverloadedError(retry_after_s=RETRY_AFTER_S)
    async with retrying(front) as sdk:
        with pytest.raises(openai.InternalServerError):
            await sdk.images.generate(prompt="x", size="64x64")
    assert len(front.tries) == len(drawing.asked) == 1 + sdk.max_retries
    assert min(front.pauses_s) >= RETRY_AFTER_S


async def test_it_does_not_ask_again_for_what_took_too_long(front: Front, drawing: Drawing) -> None:
    drawing.failure = DeadlineExceededError("The request did not finish in time.")
    async with retrying(front) as sdk:
        with pytest.raises(openai.InternalServerError):
            await sdk.images.generate(prompt="x", size="64x64")
    assert len(front.tries) == 1


@pytest.mark.parametrize("options", [{"n": 11}, {"model": "dall-e-3"}])
async def test_it_does_not_ask_again_for_what_is_wrong(
    front: Front, options: dict[str, object]
) -> None:
    async with retrying(front) as sdk:
        with pytest.raises(openai.APIStatusError):
            await sdk.images.generate(prompt="x", **options)  # type: ignore[call-overload]
    assert len(front.tries) == 1
