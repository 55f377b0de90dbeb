"""A safety checker in its place: what it flags is not delivered, by no way."""

import sys
from collections.abc import Iterator
from typing import Any, cast

import httpx
import pytest
from ray import cloudpickle, serve
from ray.serve import Deployment

from serve_app.config import AppConfig
from serve_app.messages import Pixels, Verdict
from tests.integration.conftest import LITTLE, Server, beside, own_places

APP = "checked"
STAGES = {
    "text_encoder": "TextEncoder",
    "denoiser": "Denoiser",
    "vae": "Vae",
    "image_writer": "ImageWriter",
}
PATH = "/v1/images/generations"
RED = {"prompt": "a small blue circle on a red background", "size": "256x256", "seed": 1}
BLUE = {"prompt": "a small red circle on a blue background", "size": "256x256", "seed": 1}


class NoRed:
    """A checker that takes offence at red pictures."""

    def check(self, pixels: Pixels) -> Verdict:
        red, green, blue = pixels.array.reshape(-1, 3).mean(axis=0)
        return Verdict(is_flagged=bool(red > green + 50 and red > blue + 50))


@pytest.fixture(scope="module")
def checked(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """An ingress with a checker, before the stages of the application under test."""
    # The replicas cannot import the tests.
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    config = AppConfig.model_validate(own_places(tmp_path_factory.mktemp("checked")))
    checker = cast(Deployment, serve.deployment(NoRed, **LITTLE)).bind()
    with beside(server, APP, config, safety_checker=checker) as client:
        yield client


@pytest.mark.parametrize("more", [{}, {"n": 2}, {"response_format": "b64_json"}])
def test_a_flagged_picture_ends_the_request(checked: httpx.Client, more: dict[str, Any]) -> None:
    response = checked.post(PATH, json=RED | more)
    assert response.status_code == 400
    assert response.json()["error"] == {
        "message": "The safety checker flagged a picture of this request.",
        "type": "image_generation_user_error",
        "param": None,
        "code": "CONTENT_POLICY_VIOLATION",
    }
    entry = checked.get("/v1/requests").json()["data"][0]
    assert (entry["status"], entry["error_code"]) == ("rejected", "CONTENT_POLICY_VIOLATION")


def test_a_stream_ends_with_the_error(checked: httpx.Client) -> None:
    response = checked.post(PATH, json=RED | {"stream": True, "partial_images": 1})
    assert response.status_code == 200
    assert "CONTENT_POLICY_VIOLATION" in response.text
    assert "image_generation.completed" not in response.text


def test_other_pictures_pass(checked: httpx.Client) -> None:
    assert checked.post(PATH, json=BLUE).status_code == 200


def test_a_client_can_do_without(checked: httpx.Client) -> None:
    response = checked.post(PATH, json=RED | {"disable_safety_checker": True})
    assert response.status_code == 200


def test_an_edit_that_changes_nothing_is_checked_too(
    checked: httpx.Client, client: httpx.Client
) -> None:
    url = client.post(PATH, json=RED).json()["data"][0]["url"]
    picture = client.get(url).content
    for strength, prompt in (("0", BLUE["prompt"]), ("0.3", RED["prompt"])):
        form = {"prompt": prompt, "strength": strength}
        response = checked.post("/v1/images/edits", data=form, files={"image": picture})
        assert response.status_code == 400, strength
        assert response.json()["error"]["code"] == "CONTENT_POLICY_VIOLATION"


def test_without_a_checker_nobody_is_misled(checked: httpx.Client, client: httpx.Client) -> None:
    loaded = [
        http.get("/v1/models").json()["data"][0]["has_safety_checker"] for http in (client, checked)
    ]
    assert loaded == [False, True]
