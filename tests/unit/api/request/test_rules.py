"""What the operator allows, and what has no effect."""

from typing import Any

import httpx
import pytest

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
