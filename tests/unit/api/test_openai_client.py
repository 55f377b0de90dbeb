"""The official client, unchanged."""

import base64
import io

import httpx2
import openai
import pytest
from PIL import Image

from tests.unit.api.conftest import BASE_URL, MakeApp
from tests.unit.api.drawing import Drawing

KEY = "sk-test"


def sdk(http: httpx2.AsyncClient, prefix: str = "/v1", key: str = KEY) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(
        base_url=f"{BASE_URL}{prefix}", api_key=key, http_client=http, max_retries=0
    )


def http_client(make_app: MakeApp) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(make_app(api_key=KEY)))


@pytest.mark.parametrize("prefix", ["/v1", "/openai/v1"])
async def test_it_generates_pictures(make_app: MakeApp, drawing: Drawing, prefix: str) -> None:
    async with http_client(make_app) as http:
        answer = await sdk(http, prefix).images.generate(
            model="flux.1-krea-dev",
            prompt="a red circle on a blue background",
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
        assert image.b64_json is not None
        file = io.BytesIO(base64.b64decode(image.b64_json))
        assert Image.open(file).size == (512, 512)
    params = drawing.last
    assert (params.seed, params.num_inference_steps, params.guidance_scale) == (42, 8, 3.5)


async def test_its_answer_keeps_what_openai_does_not_know(make_app: MakeApp) -> None:
    async with http_client(make_app) as http:
        answer = await sdk(http).images.generate(prompt="x", size="256x256", n=None)
    extra = answer.model_extra
    assert extra is not None
    assert extra["metadata"]["model"] == "flux.1-krea-dev"
    assert extra["id"].startswith("req_")


async def test_a_url_is_fetched_without_the_key(make_app: MakeApp) -> None:
    async with http_client(make_app) as http:
        answer = await sdk(http).images.generate(prompt="x", size="256x256")
        assert answer.data is not None
        url = answer.data[0].url
        assert url is not None
        file = await http.get(url)
    assert Image.open(io.BytesIO(file.content)).size == (256, 256)


async def test_its_errors_carry_the_field(make_app: MakeApp) -> None:
    async with http_client(make_app) as http:
        with pytest.raises(openai.BadRequestError) as refused:
            await sdk(http).images.generate(prompt="x", n=11)
    assert (refused.value.param, refused.value.code) == ("n", "INVALID_REQUEST")
    assert "Must be between 1 and 10." in refused.value.message


async def test_a_wrong_key_is_its_authentication_error(make_app: MakeApp) -> None:
    async with http_client(make_app) as http:
        with pytest.raises(openai.AuthenticationError) as refused:
            await sdk(http, key="sk-other").images.generate(prompt="x")
    assert refused.value.code == "AUTHENTICATION_FAILED"


async def test_it_lists_the_models(make_app: MakeApp) -> None:
    async with http_client(make_app) as http:
        client = sdk(http)
        models = [model async for model in client.models.list()]
        found = await client.models.retrieve("replicate/flux.1-krea-dev")
    assert [model.id for model in models] == ["flux.1-krea-dev"]
    assert (found.id, found.object, found.owned_by) == (
        "flux.1-krea-dev",
        "model",
        "black-forest-labs",
    )
