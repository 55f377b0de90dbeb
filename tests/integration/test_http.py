"""What only shows through Serve's own proxy: headers, downloads, errors, the official client."""

import base64
import io
from typing import Literal

import httpx
import openai
import pytest
from PIL import Image

from tests.integration.conftest import Server

PROMPT = "a small yellow square on a black background"


@pytest.mark.parametrize("prefix", ["/v1", "/openai/v1"])
def test_the_official_client_generates_a_picture(server: Server, prefix: str) -> None:
    client = openai.OpenAI(base_url=server.url + prefix, api_key="unused")
    answer = client.images.generate(model="flux.1-krea-dev", prompt=PROMPT, size="256x256")
    assert answer.data is not None
    assert answer.data[0].url is not None
    file = httpx.get(answer.data[0].url)
    assert Image.open(io.BytesIO(file.content)).size == (256, 256)
    assert file.headers["content-type"] == "image/png"


@pytest.mark.parametrize("output_format", ["png", "jpeg", "webp"])
def test_formats_as_bytes(server: Server, output_format: Literal["png", "jpeg", "webp"]) -> None:
    client = openai.OpenAI(base_url=server.url + "/v1", api_key="unused")
    answer = client.images.generate(
        prompt=PROMPT,
        size="256x256",
        response_format="b64_json",
        output_format=output_format,
    )
    assert answer.data is not None
    picture = Image.open(io.BytesIO(base64.b64decode(answer.data[0].b64_json or "")))
    assert picture.format == output_format.upper()


def test_errors_reach_the_official_client_as_its_own_classes(server: Server) -> None:
    client = openai.OpenAI(base_url=server.url + "/v1", api_key="unused")
    with pytest.raises(openai.BadRequestError, match="Must be between 1 and 10") as refused:
        client.images.generate(prompt=PROMPT, n=11)
    assert refused.value.param == "n"
    with pytest.raises(openai.NotFoundError):
        client.images.generate(prompt=PROMPT, model="dall-e-3")


@pytest.mark.parametrize(
    ("path", "status"), [("/v1/models", 200), ("/v1/nothing", 404), ("/readyz", 200)]
)
def test_one_request_id_on_every_answer(client: httpx.Client, path: str, status: int) -> None:
    answer = client.get(path, headers={"x-request-id": "mine"})
    assert answer.status_code == status
    assert answer.headers.get_list("x-request-id") == ["mine"]
    assert len(client.get(path).headers.get_list("x-request-id")) == 1


def test_a_picture_lives_under_an_unguessable_name_only(client: httpx.Client) -> None:
    body = {"prompt": PROMPT, "size": "256x256", "num_inference_steps": 2}
    url = client.post("/v1/images/generations", json=body).json()["data"][0]["url"]
    assert client.head(url).status_code == 200
    assert client.get("/media/" + "0" * 32 + ".png").status_code == 404
    assert client.get("/media/..%2f..%2fetc%2fpasswd").status_code == 404


def test_an_odd_size_is_delivered_exactly(client: httpx.Client) -> None:
    body = {"prompt": PROMPT, "size": "301x257", "num_inference_steps": 2}
    answer = client.post("/v1/images/generations", json=body).json()
    file = client.get(answer["data"][0]["url"])
    assert answer["size"] == "301x257"
    assert Image.open(io.BytesIO(file.content)).size == (301, 257)
