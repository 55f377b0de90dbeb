"""OpenAI's client for Python, unchanged: pictures from text, and what is around them."""

import asyncio
import base64
import io
from typing import Any

import httpx
import openai
import pytest
from openai.types import ImagesResponse
from PIL import Image

from tests.unit.api.clients.conftest import KEY
from tests.unit.api.clients.front import Front
from tests.unit.api.clients.pictures import only_picture
from tests.unit.api.drawing import Drawing

PROMPT = "a red circle on a blue background"


@pytest.mark.parametrize("prefix", ["/v1", "/openai/v1"])
async def test_it_generates_pictures(front: Front, drawing: Drawing, prefix: str) -> None:
    async with openai.AsyncOpenAI(base_url=front.url + prefix, api_key=KEY) as sdk:
        answer = await sdk.images.generate(
            model="flux.1-krea-dev",
            prompt=PROMPT,
            n=2,
            size="512x512",
            output_format="jpeg",
            response_format="b64_json",
            extra_body={"seed": 42, "num_inference_steps": 8, "cfg_scale": 3.5},
        )
    assert answer.data is not None
    assert answer.usage is not None
    assert (answer.size, answer.output_format, answer.background) == ("512x512", "jpeg", "opaque")
    assert answer.usage.output_tokens == 2 * 1024
    for image in answer.data:
        file = io.BytesIO(base64.b64decode(image.b64_json or ""))
        assert Image.open(file).size == (512, 512)
    params = drawing.last
    assert (params.seed, params.num_inference_steps, params.guidance_scale) == (42, 8, 3.5)


async def test_a_url_is_fetched_without_the_key(sdk: openai.AsyncOpenAI) -> None:
    answer = await sdk.images.generate(prompt=PROMPT, size="256x256")
    assert answer.data is not None
    assert answer.data[0].url is not None
    async with httpx.AsyncClient() as stranger:
        file = await stranger.get(answer.data[0].url)
    assert Image.open(io.BytesIO(file.content)).size == (256, 256)


async def test_its_answer_keeps_what_openai_does_not_know(sdk: openai.AsyncOpenAI) -> None:
    answer = await sdk.images.generate(
        prompt=PROMPT, size="256x256", n=None, quality="high", extra_body={"lora": "x"}
    )
    extra = answer.model_extra
    assert extra is not None
    assert extra["metadata"]["model"] == "flux.1-krea-dev"
    assert extra["metadata"]["ignored_parameters"] == ["quality", "lora"]
    assert extra["id"].startswith("req_")


@pytest.mark.parametrize(
    "dialect",
    [
        {
            "image_size": {"width": 128, "height": 64},
            "num_images": 2,
            "guidance_scale": 3,
            "acceleration": "none",
            "sync_mode": True,
        },
        {
            "size": "128x64",
            "num_outputs": 2,
            "guidance": 3,
            "go_fast": False,
            "output_quality": 90,
        },
    ],
    ids=["fal", "replicate"],
)
async def test_other_dialects_are_spoken_through_extra_body(
    sdk: openai.AsyncOpenAI, drawing: Drawing, dialect: dict[str, Any]
) -> None:
    answer = await sdk.images.generate(
        prompt=PROMPT, response_format="b64_json", extra_body=dialect
    )
    assert answer.data is not None
    assert len(answer.data) == 2
    assert (str(drawing.last.output), drawing.last.guidance_scale) == ("128x64", 3)


async def test_a_dry_run_costs_and_draws_nothing(sdk: openai.AsyncOpenAI, drawing: Drawing) -> None:
    answer = await sdk.images.generate(prompt=PROMPT, n=2, extra_query={"dryRun": "true"})
    extra = answer.model_extra
    assert extra is not None
    assert (extra["estimated"], extra["total_cost_micros"]) == (True, 50_000)
    assert answer.data is None
    assert drawing.asked == []


async def test_raw_answers_have_the_headers(sdk: openai.AsyncOpenAI) -> None:
    raw = await sdk.images.with_raw_response.generate(prompt=PROMPT, size="64x64")
    extra = raw.parse().model_extra
    assert extra is not None
    assert raw.headers["x-lumenfall-request-id"] == extra["id"]
    assert raw.headers["x-lumenfall-model"] == "flux.1-krea-dev"
    assert int(raw.headers["openai-processing-ms"]) >= 0


async def test_the_client_without_async_is_the_same(front: Front) -> None:
    def generate() -> ImagesResponse:
        with openai.OpenAI(base_url=f"{front.url}/v1", api_key=KEY) as sdk:
            return sdk.images.generate(prompt=PROMPT, size="64x64", response_format="b64_json")

    assert only_picture(await asyncio.to_thread(generate)).shape == (64, 64, 3)


async def test_it_lists_the_models(sdk: openai.AsyncOpenAI) -> None:
    models = [model async for model in sdk.models.list()]
    found = await sdk.models.retrieve("replicate/flux.1-krea-dev")
    assert [model.id for model in models] == ["flux.1-krea-dev"]
    assert (found.id, found.object) == ("flux.1-krea-dev", "model")
    assert found.owned_by == "black-forest-labs"
