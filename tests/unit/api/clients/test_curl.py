"""curl, as it stands in the documents of this and of other servers."""

import asyncio
import base64
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.api.clients.conftest import KEY
from tests.unit.api.clients.front import Front
from tests.unit.api.clients.pictures import decoded, mask, picture
from tests.unit.api.drawing import Drawing

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")

GENERATE = '{"model": "flux.1-krea-dev", "prompt": "a red circle", "n": 1, "size": "128x64"}'
AUTHORIZATION = f"Authorization: Bearer {KEY}"
JSON = "Content-Type: application/json"


async def curl(*arguments: str) -> bytes:
    process = await asyncio.create_subprocess_exec(
        "curl", "--silent", "--show-error", *arguments, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output


async def answer(url: str, *arguments: str) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(await curl(url, "-H", AUTHORIZATION, *arguments))
    return parsed


@pytest.mark.parametrize("prefix", ["/v1", "/openai/v1"])
@pytest.mark.parametrize("headers", [["-H", JSON], []], ids=["as JSON", "without a type"])
async def test_a_picture_and_its_file(front: Front, prefix: str, headers: list[str]) -> None:
    made = await answer(f"{front.url}{prefix}/images/generations", *headers, "-d", GENERATE)
    assert set(made["data"][0]) == {"url", "revised_prompt"}
    assert decoded(await curl(made["data"][0]["url"])).shape == (64, 128, 3)


@pytest.mark.parametrize("field", ["image", "image[]", "images[]"])
async def test_an_edit_with_a_mask(
    front: Front, drawing: Drawing, pictures: Path, field: str
) -> None:
    made = await answer(
        f"{front.url}/v1/images/edits",
        *("-F", f"{field}=@{pictures}/image.png"),
        *("-F", f"mask=@{pictures}/mask.png"),
        *("-F", "prompt=a green square"),
        *("-F", "strength=0"),
        *("-F", "response_format=b64_json"),
    )
    assert np.array_equal(decoded(base64.b64decode(made["data"][0]["b64_json"])), picture())
    source = drawing.last.input_image
    assert source is not None
    assert source.mask is not None
    assert np.array_equal(source.mask, mask())


async def test_a_stream_comes_as_lines(front: Front) -> None:
    body = GENERATE.replace("}", ', "stream": true, "partial_images": 1}')
    lines = (
        await curl("-N", f"{front.url}/v1/images/generations", "-H", AUTHORIZATION, "-d", body)
    ).decode()
    assert [line for line in lines.splitlines() if line.startswith("event: ")] == [
        "event: image_generation.partial_image",
        "event: image_generation.completed",
    ]


async def test_a_form_that_is_not_json_is_refused(front: Front) -> None:
    refused = await answer(f"{front.url}/v1/images/generations", "-d", "prompt=x")
    assert refused["error"]["code"] == "UNSUPPORTED_MEDIA_TYPE"
