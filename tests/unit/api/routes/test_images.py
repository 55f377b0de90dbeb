"""What a finished request is answered."""

import base64
import io
import re

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from serve_app.messages import Size
from tests.unit.api.conftest import BASE_URL, MakeClient
from tests.unit.api.drawing import NUM_TOKENS, Drawing

PATH = "/v1/images/generations"
SMALL = {"prompt": "a red lighthouse", "size": "256x256"}


def opened(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


async def test_the_whole_answer(client: httpx.AsyncClient, drawing: Drawing) -> None:
    body = {"prompt": "a red lighthouse", "size": "1183x887", "seed": 42, "n": 3, "foo": 1}
    response = await client.post(PATH, json=body)
    assert response.status_code == 200
    answer = response.json()
    urls = [image["url"] for image in answer["data"]]
    assert isinstance(answer.pop("created"), int)
    assert answer == {
        "id": drawing.last.request_id,
        "size": "1183x887",
        "output_format": "png",
        "background": "opaque",
        "data": [{"url": url, "revised_prompt": "a red lighthouse"} for url in urls],
        "usage": {
            "input_tokens": NUM_TOKENS,
            "input_tokens_details": {"text_tokens": NUM_TOKENS, "image_tokens": 0},
            "output_tokens": 3 * 4144,
            "output_tokens_details": {"text_tokens": 0, "image_tokens": 3 * 4144},
            "total_tokens": NUM_TOKENS + 3 * 4144,
        },
        "metadata": {
            "model": "flux.1-krea-dev",
            "executed_model": "krea-serve/flux.1-krea-dev",
            "provider": "krea-serve",
            "provider_name": "krea-serve",
            "cost": 0.075,
            "cost_currency": "USD",
            "seed": 42,
            "ignored_parameters": ["foo"],
        },
    }
    assert len(set(urls)) == 3


async def test_the_headers(client: httpx.AsyncClient) -> None:
    response = await client.post(PATH, json=SMALL)
    assert re.fullmatch(r"req_[0-9a-f]{32}", response.json()["id"])
    assert response.headers["x-lumenfall-request-id"] == response.json()["id"]
    assert response.headers["x-lumenfall-provider"] == "krea-serve"
    assert response.headers["x-lumenfall-model"] == "flux.1-krea-dev"
    assert response.headers["content-type"] == "application/json"
    assert int(response.headers["openai-processing-ms"]) >= 0
    # Serve's proxy appends this one: a second would make it a list.
    assert "x-request-id" not in response.headers


async def test_pictures_come_in_order_and_by_their_seeds(client: httpx.AsyncClient) -> None:
    together = (await client.post(PATH, json=SMALL | {"n": 2, "seed": 7})).json()
    alone = (await client.post(PATH, json=SMALL | {"seed": 8})).json()
    second, same = [
        (await client.get(answer["data"][-1]["url"])).content for answer in (together, alone)
    ]
    assert second == same
    assert opened(second).getpixel((0, 0)) == (0, 0, 8)


@pytest.mark.parametrize("prefix", ["/v1", "/openai/v1"])
@pytest.mark.parametrize("output_format", ["png", "jpeg", "webp"])
async def test_a_url_leads_to_the_file(
    client: httpx.AsyncClient, prefix: str, output_format: str
) -> None:
    body = SMALL | {"output_format": output_format}
    answer = (await client.post(f"{prefix}/images/generations", json=body)).json()
    assert answer["output_format"] == output_format
    url = answer["data"][0]["url"]
    assert re.fullmatch(rf"{BASE_URL}/media/[0-9a-f]{{88}}\.{output_format}", url)
    file = await client.get(url)
    assert file.headers["content-type"] == f"image/{output_format}"
    assert (opened(file.content).format or "").lower() == output_format


async def test_b64_json_is_the_file_and_nothing_is_kept(
    client: httpx.AsyncClient, drawing: Drawing
) -> None:
    answer = (await client.post(PATH, json=SMALL | {"response_format": "b64_json"})).json()
    (image,) = answer["data"]
    assert "url" not in image
    assert opened(base64.b64decode(image["b64_json"], validate=True)).size == (256, 256)
    assert drawing.last.delivery == "b64_json"


async def test_sync_mode_puts_the_file_into_the_url(client: httpx.AsyncClient) -> None:
    body = SMALL | {"sync_mode": True, "output_format": "webp"}
    (image,) = (await client.post(PATH, json=body)).json()["data"]
    start, _, encoded = image["url"].partition(",")
    assert start == "data:image/webp;base64"
    assert opened(base64.b64decode(encoded, validate=True)).format == "WEBP"
    assert "b64_json" not in image


async def test_usage_counts_by_16_whatever_the_model_s_step_is(
    make_client: MakeClient, drawing: Drawing
) -> None:
    async with make_client(canvas_multiple=64) as client:
        answer = (await client.post(PATH, json={"prompt": "x", "size": "1183x887"})).json()
    assert drawing.last.canvas == Size(1216, 896)
    assert answer["usage"]["output_tokens"] == (1184 // 16) * (896 // 16)


async def test_a_prompt_that_was_cut_short_is_reported(
    client: httpx.AsyncClient, drawing: Drawing
) -> None:
    drawing.is_truncated = True
    metadata = (await client.post(PATH, json=SMALL)).json()["metadata"]
    assert metadata["prompt_truncated"] is True


async def test_the_safety_identifier_is_repeated(client: httpx.AsyncClient) -> None:
    assert "safety_identifier" not in (await client.post(PATH, json=SMALL)).json()
    answer = (await client.post(PATH, json=SMALL | {"user": "u-1"})).json()
    assert answer["safety_identifier"] == "u-1"


@pytest.mark.parametrize("query", ["dryRun=true", "dryRun=1", "dryRun=True"])
async def test_a_dry_run_estimates_and_runs_nothing(
    client: httpx.AsyncClient, drawing: Drawing, query: str
) -> None:
    response = await client.post(f"{PATH}?{query}", json=SMALL | {"n": 2})
    assert response.json() == {
        "estimated": True,
        "model": "flux.1-krea-dev",
        "provider": "krea-serve",
        "total_cost_micros": 50000,
        "currency": "USD",
        "components": [
            {
                "type": "output",
                "metric": "image",
                "quantity": 2,
                "billable_quantity": 2,
                "unit_price": 0.025,
                "total_cost": 50000,
            }
        ],
    }
    assert drawing.asked == []


async def test_a_dry_run_checks_everything(client: httpx.AsyncClient) -> None:
    response = await client.post(f"{PATH}?dryRun=true", json=SMALL | {"n": 0})
    assert response.status_code == 400


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(width=st.integers(1, 600), height=st.integers(1, 600), multiple=st.sampled_from([16, 64]))
async def test_the_delivered_size_is_the_size_that_was_asked_for(
    make_client: MakeClient, width: int, height: int, multiple: int
) -> None:
    async with make_client(canvas_multiple=multiple) as client:
        answer = (await client.post(PATH, json={"prompt": "x", "size": f"{width}x{height}"})).json()
        file = await client.get(answer["data"][0]["url"])
    assert answer["size"] == f"{width}x{height}"
    assert opened(file.content).size == (width, height)


async def test_variations_point_to_edits(client: httpx.AsyncClient) -> None:
    for prefix in ("/v1", "/openai/v1"):
        response = await client.post(f"{prefix}/images/variations", json={})
        assert response.status_code == 404
        assert response.json()["error"]["code"] == "NOT_FOUND"
        assert "/v1/images/edits" in response.json()["error"]["message"]


async def test_few_unknown_names_are_told_back_and_none_is_long(client: httpx.AsyncClient) -> None:
    unknown = {f"{index:03d}" + "x" * 1000: 1 for index in range(500)}
    answer = await client.post(PATH, json={"prompt": "x", "size": "64x64"} | unknown)
    ignored = answer.json()["metadata"]["ignored_parameters"]
    told = [name for name in ignored if name[0].isdigit()]
    assert told == [name[:64] for name in list(unknown)[:100]]
