"""OpenAI's client for Python, unchanged: events parsed as its own classes."""

import base64
from pathlib import Path

import numpy as np
import openai
import pytest
from openai.types import (
    ImageEditCompletedEvent,
    ImageEditPartialImageEvent,
    ImageGenCompletedEvent,
    ImageGenPartialImageEvent,
)

from serve_app.errors import OverloadedError
from tests.unit.api.clients.pictures import decoded, picture
from tests.unit.api.drawing import Drawing

PROMPT = "a red circle"


@pytest.mark.parametrize("num_partial", [0, 1, 3])
async def test_a_generation_in_events(sdk: openai.AsyncOpenAI, num_partial: int) -> None:
    stream = await sdk.images.generate(
        prompt=PROMPT, size="128x64", stream=True, partial_images=num_partial
    )
    *previews, last = [event async for event in stream]
    assert [type(event) for event in previews] == [ImageGenPartialImageEvent] * num_partial
    assert isinstance(last, ImageGenCompletedEvent)
    for index, event in enumerate(previews):
        assert isinstance(event, ImageGenPartialImageEvent)
        assert (event.type, event.partial_image_index) == ("image_generation.partial_image", index)
    assert last.type == "image_generation.completed"
    assert (last.output_format, last.background, last.quality) == ("png", "opaque", "auto")
    assert last.usage.output_tokens > 0
    for event in (*previews, last):
        assert decoded(base64.b64decode(event.b64_json)).shape == (64, 128, 3)
        assert event.size == "128x64"


async def test_an_edit_in_events(sdk: openai.AsyncOpenAI, pictures: Path) -> None:
    stream = await sdk.images.edit(
        image=pictures / "image.png",
        mask=pictures / "mask.png",
        prompt=PROMPT,
        stream=True,
        partial_images=1,
        extra_body={"strength": 0},
    )
    preview, last = [event async for event in stream]
    assert isinstance(preview, ImageEditPartialImageEvent)
    assert isinstance(last, ImageEditCompletedEvent)
    assert (preview.type, last.type) == ("image_edit.partial_image", "image_edit.completed")
    assert np.array_equal(decoded(base64.b64decode(last.b64_json)), picture())
    assert last.usage.input_tokens_details.image_tokens > 0


async def test_what_is_wrong_beforehand_is_an_error_of_its_class(sdk: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await sdk.images.generate(prompt=PROMPT, stream=True, n=2)
    assert refused.value.param == "n"


@pytest.mark.parametrize(
    ("failure", "code"),
    [(OverloadedError(), "SERVICE_UNAVAILABLE"), (RuntimeError("secret"), "INTERNAL_ERROR")],
)
async def test_what_goes_wrong_on_the_way_is_raised(
    sdk: openai.AsyncOpenAI, drawing: Drawing, failure: Exception, code: str
) -> None:
    drawing.failure = failure
    stream = await sdk.images.generate(prompt=PROMPT, size="64x64", stream=True, partial_images=1)
    assert isinstance(await anext(stream), ImageGenPartialImageEvent)
    with pytest.raises(openai.APIError) as raised:
        await anext(stream)
    assert raised.value.code == code
    assert "secret" not in str(raised.value)
