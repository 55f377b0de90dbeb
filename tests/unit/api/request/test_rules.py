"""What the operator allows, and what has no effect."""

from typing import Any

import httpx
import pytest

from serve_app.api.parameters import image_parameters
from serve_app.api.request.fields import Fields, read_fields
from serve_app.api.request.rules import priority_of
from serve_app.config import ApiConfig
from serve_app.errors import PermissionDeniedError
from serve_app.messages import Lora, Priority
from serve_app.records.keys import Caller, Scope
from tests.unit.api.conftest import MakeClient
from tests.unit.api.drawing import Drawing

PATH = "/v1/images/generations"
BODY: dict[str, Any] = {"prompt": "a circle", "size": "64x64"}
UNCHECKED = [{"enable_safety_checker": False}, {"disable_safety_checker": True}]
CHECKED = [{}, {"enable_safety_checker": True}, {"disable_safety_checker": False}]


@pytest.mark.parametrize("asked", UNCHECKED)
async def test_unchecked_pictures_can_be_forbidden(
    make_client: MakeClient, drawing: Drawing, asked: dict[str, bool]
) -> None:
    async with make_client(allow_unchecked_images=False) as client:
        response = await client.post(PATH, json=BODY | asked)
    (name,) = asked
    assert response.status_code == 403
    assert response.json()["error"] == {
        "message": f"'{name}' is not allowed on this server.",
        "type": "permission_error",
        "param": name,
        "code": "PERMISSION_DENIED",
    }
    assert drawing.asked == []


@pytest.mark.parametrize("asked", CHECKED)
async def test_checked_pictures_are_always_allowed(
    make_client: MakeClient, drawing: Drawing, asked: dict[str, bool]
) -> None:
    async with make_client(allow_unchecked_images=False) as client:
        assert (await client.post(PATH, json=BODY | asked)).status_code == 200
    assert drawing.last.is_safety_checked


@pytest.mark.parametrize("asked", UNCHECKED)
async def test_what_the_client_wants_reaches_the_pipeline(
    client: httpx.AsyncClient, drawing: Drawing, asked: dict[str, bool]
) -> None:
    response = await client.post(PATH, json=BODY | asked)
    assert not drawing.last.is_safety_checked
    assert response.json()["metadata"]["ignored_parameters"] == []


@pytest.mark.parametrize("has_safety_checker", [False, True])
@pytest.mark.parametrize("asked", CHECKED[1:])
async def test_asking_for_a_check_has_an_effect_where_there_is_a_checker(
    make_client: MakeClient, has_safety_checker: bool, asked: dict[str, bool]
) -> None:
    async with make_client(has_safety_checker=has_safety_checker) as client:
        response = await client.post(PATH, json=BODY | asked)
        (model,) = (await client.get("/v1/models")).json()["data"]
    ignored = [] if has_safety_checker else list(asked)
    assert response.json()["metadata"]["ignored_parameters"] == ignored
    assert model["has_safety_checker"] is has_safety_checker


@pytest.mark.parametrize("has_go_fast", [False, True])
async def test_go_fast_has_an_effect_where_there_are_weights_for_it(
    make_client: MakeClient, drawing: Drawing, has_go_fast: bool
) -> None:
    async with make_client(has_go_fast=has_go_fast) as client:
        response = await client.post(PATH, json=BODY | {"go_fast": True})
    ignored = [] if has_go_fast else ["go_fast"]
    assert response.json()["metadata"]["ignored_parameters"] == ignored
    assert drawing.last.is_fast


async def test_adapters_of_the_catalogue_reach_the_pipeline(
    make_client: MakeClient, drawing: Drawing
) -> None:
    asked = [{"path": "ink", "scale": 0.5}, {"path": "wool"}]
    async with make_client(lora_names=["ink", "wool"]) as client:
        response = await client.post(PATH, json=BODY | {"loras": asked})
    assert response.status_code == 200
    assert drawing.last.loras == (Lora("ink", 0.5), Lora("wool", 1.0))


@pytest.mark.parametrize(
    ("loras", "field", "rule"),
    [
        ([{"path": "silk"}], "loras[0].path", "This server's LoRAs are: ink, wool."),
        ([{"path": "/etc/passwd"}], "loras[0].path", "This server's LoRAs are"),
        ([{"path": "ink"}, {"path": "wool", "scale": 5}], "loras[1].scale", "4"),
        ([{"path": "ink", "scale": "strong"}], "loras[0].scale", "number"),
        ([{"scale": 1}], "loras[0].path", "Missing"),
        ([{"path": "ink", "weight": 1}], "loras[0].weight", "'path' and 'scale'"),
        ([{"path": "ink"}] * 5, "loras", "at most 4 items"),
        (["ink"], "loras[0]", "an object"),
        ("ink", "loras", "a list"),
    ],
)
async def test_other_adapters_are_refused(
    make_client: MakeClient, loras: object, field: str, rule: str
) -> None:
    async with make_client(lora_names=["ink", "wool"]) as client:
        response = await client.post(PATH, json=BODY | {"loras": loras})
    error = response.json()["error"]
    assert response.status_code == 400
    assert error["param"] == field
    assert rule in error["message"]


async def test_a_server_without_adapters_says_so(client: httpx.AsyncClient) -> None:
    response = await client.post(PATH, json=BODY | {"loras": [{"path": "ink"}]})
    assert "This server has no LoRAs." in response.json()["error"]["message"]


@pytest.mark.parametrize("acceleration", ["none", "regular", "high", None])
async def test_the_acceleration_reaches_the_pipeline(
    client: httpx.AsyncClient, drawing: Drawing, acceleration: str | None
) -> None:
    await client.post(PATH, json=BODY | {"acceleration": acceleration})
    assert drawing.last.acceleration == (acceleration or "none")


@pytest.mark.parametrize(
    ("tier", "priority"),
    [
        (None, Priority.STANDARD),
        ("auto", Priority.STANDARD),
        ("default", Priority.STANDARD),
        ("flex", Priority.BATCH),
        ("priority", Priority.INTERACTIVE),
    ],
)
async def test_the_service_tier_is_the_class(
    client: httpx.AsyncClient, drawing: Drawing, tier: str | None, priority: Priority
) -> None:
    response = await client.post(PATH, json=BODY | {"service_tier": tier})
    assert response.json()["metadata"]["ignored_parameters"] == []
    assert drawing.last.priority == priority


def fields(tier: str) -> Fields:
    return read_fields(BODY | {"service_tier": tier}, image_parameters(ApiConfig()))


@pytest.mark.parametrize("highest", Priority)
def test_a_key_has_its_class_and_may_ask_for_a_lower_one(highest: Priority) -> None:
    caller = Caller("kr_aaaaaaaa", "acme", frozenset(Scope), highest, highest)
    assert priority_of(fields("auto"), caller) == highest
    assert priority_of(fields("flex"), caller) == Priority.BATCH
    if highest == Priority.INTERACTIVE:
        assert priority_of(fields("priority"), caller) == Priority.INTERACTIVE
        return
    with pytest.raises(PermissionDeniedError, match=highest.name.lower()) as refused:
        priority_of(fields("priority"), caller)
    assert refused.value.param == "service_tier"


async def test_an_unknown_tier_is_refused(client: httpx.AsyncClient) -> None:
    response = await client.post(PATH, json=BODY | {"service_tier": "gold"})
    assert response.status_code == 400
    assert "gold" in response.json()["error"]["message"]
