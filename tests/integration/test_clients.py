"""OpenAI's clients, unchanged, against the application on Ray: through Serve's own proxy."""

import asyncio
import base64
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import openai
import pytest
from openai.types import (
    ImageEditCompletedEvent,
    ImageGenCompletedEvent,
    ImageGenPartialImageEvent,
)

from tests.integration.conftest import Server
from tests.unit.api.clients import node_sdk
from tests.unit.api.clients.pictures import decoded, mask, only_picture, picture, write_pictures

PROMPT = "a large red circle on a blue background"
SMALL = "256x256"


@pytest.fixture
def sdk(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="unused", max_retries=0) as client:
        yield client


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    write_pictures(tmp_path)
    return tmp_path


@pytest.mark.parametrize("headers", [{}, {"x-request-id": "mine"}], ids=["none", "the client's"])
def test_the_client_sees_one_request_id(sdk: openai.OpenAI, headers: dict[str, str]) -> None:
    raw = sdk.images.with_raw_response.generate(prompt=PROMPT, size=SMALL, extra_headers=headers)
    (request_id,) = raw.headers.get_list("x-request-id")
    assert "," not in request_id
    assert request_id == headers.get("x-request-id", request_id)
    assert raw.parse()._request_id == request_id


def test_an_error_has_one_too(sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.images.generate(prompt=PROMPT, n=11, extra_headers={"x-request-id": "mine"})
    assert refused.value.request_id == "mine"


def test_a_masked_edit_keeps_the_rest(sdk: openai.OpenAI, pictures: Path) -> None:
    answer = sdk.images.edit(
        image=pictures / "image.png",
        mask=pictures / "mask.png",
        prompt=PROMPT,
        response_format="b64_json",
        extra_body={"seed": 1, "strength": 1},
    )
    result = only_picture(answer)
    protected = mask() == 0
    assert np.array_equal(result[protected], picture()[protected])
    assert not np.array_equal(result[~protected], picture()[~protected])


def test_a_stream_of_previews(sdk: openai.OpenAI) -> None:
    stream = sdk.images.generate(prompt=PROMPT, size=SMALL, stream=True, partial_images=2)
    *previews, last = list(stream)
    # The picture may overtake the last of them.
    assert len(previews) in (1, 2)
    assert all(isinstance(event, ImageGenPartialImageEvent) for event in previews)
    assert isinstance(last, ImageGenCompletedEvent)
    assert decoded(base64.b64decode(last.b64_json)).shape == (256, 256, 3)


def test_a_stream_of_an_edit(sdk: openai.OpenAI, pictures: Path) -> None:
    stream = sdk.images.edit(
        image=pictures / "image.png", prompt=PROMPT, stream=True, extra_body={"strength": 0}
    )
    (event,) = list(stream)
    assert isinstance(event, ImageEditCompletedEvent)
    assert np.array_equal(decoded(base64.b64decode(event.b64_json)), picture())


@pytest.mark.parametrize("script", ["generate.mjs", "edit.mjs", "stream.mjs"])
def test_node_sees_the_same(server: Server, pictures: Path, script: str) -> None:
    node_sdk.install()
    environment = {
        "TEST_SERVER_URL": server.url,
        "TEST_API_KEY": "unused",
        "TEST_PICTURES": str(pictures),
    }
    asyncio.run(node_sdk.run_script(script, environment))
