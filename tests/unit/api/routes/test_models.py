"""The list of models, which has one."""

import httpx
import jsonschema_rs
import pytest

from serve_app.api.values.model_names import ALL_NAMES
from tests.unit.api.conftest import MakeClient

OBJECT = {
    "id": "flux.1-krea-dev",
    "object": "model",
    "created": 1753920000,
    "owned_by": "black-forest-labs",
}


@pytest.mark.parametrize("prefix", ["/v1", "/openai/v1"])
async def test_the_list(client: httpx.AsyncClient, prefix: str) -> None:
    answer = (await client.get(f"{prefix}/models")).json()
    assert answer["object"] == "list"
    (model,) = answer["data"]
    assert OBJECT.items() <= model.items()
    assert model["starting_price"] == 0.025
    assert model["modality"] == "image"


@pytest.mark.parametrize("name", [*ALL_NAMES, "FLUX.1-KREA-DEV"])
async def test_every_name_finds_it(client: httpx.AsyncClient, name: str) -> None:
    model = (await client.get(f"/v1/models/{name}")).json()
    assert OBJECT.items() <= model.items()


@pytest.mark.parametrize(
    "name", ["nope", "flux.1-krea-dev/x", "fal/", "a/b/c", "flux.1-\N{KELVIN SIGN}rea-dev"]
)
async def test_other_names_do_not(client: httpx.AsyncClient, name: str) -> None:
    response = await client.get(f"/v1/models/{name}")
    assert response.status_code == 404
    error = response.json()["error"]
    assert (error["code"], error["param"]) == ("MODEL_NOT_FOUND", "model")
    assert f"'{name}'" in error["message"]


@pytest.mark.parametrize("value", ["true", "1", "TRUE"])
async def test_it_has_the_schema_of_a_request_if_asked(make_client: MakeClient, value: str) -> None:
    async with make_client(max_images=3) as client:
        model = (await client.get(f"/v1/models/fal/flux.1-krea-dev?schema={value}")).json()
    assert OBJECT.items() <= model.items()
    validator = jsonschema_rs.validator_for(model["schema"])
    assert validator.is_valid({"prompt": "x", "n": 3, "guidance_scale": 3.5, "seed": None})
    assert not validator.is_valid({"prompt": "x", "n": 4})
    assert not validator.is_valid({"n": 1})


@pytest.mark.parametrize("path", ["flux.1-krea-dev", "flux.1-krea-dev?schema=false", "?schema=1"])
async def test_otherwise_it_has_none(client: httpx.AsyncClient, path: str) -> None:
    answer = (await client.get(f"/v1/models/{path}")).json()
    assert "schema" not in answer
    assert "request_schema" not in answer
