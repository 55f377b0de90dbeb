"""The list of models, which has one."""

import httpx
import pytest

from serve_app.api.model_names import ALL_NAMES

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


@pytest.mark.parametrize("name", ["nope", "flux.1-krea-dev/x", "fal/", "a/b/c"])
async def test_other_names_do_not(client: httpx.AsyncClient, name: str) -> None:
    response = await client.get(f"/v1/models/{name}")
    assert response.status_code == 404
    error = response.json()["error"]
    assert (error["code"], error["param"]) == ("MODEL_NOT_FOUND", "model")
    assert f"'{name}'" in error["message"]
