"""The pages' files, and no others."""

import httpx
import pytest


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/playground/playground.js", "javascript"),
        ("/playground/playground.css", "text/css"),
        ("/playground/icon.svg", "image/svg"),
        ("/docs/docs.js", "javascript"),
        ("/docs/swagger-ui-bundle.js", "javascript"),
        ("/docs/docs.css", "text/css"),
    ],
)
async def test_files_have_their_types(
    client: httpx.AsyncClient, path: str, media_type: str
) -> None:
    response = await client.get(path)
    assert media_type in response.headers["content-type"]
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("page", ["playground", "docs"])
@pytest.mark.parametrize(
    "name", ["nope.js", "index.html", "__init__.py", "..%2Fapp.py", "%2e%2e%2fapp.py"]
)
async def test_nothing_else_is_served(client: httpx.AsyncClient, page: str, name: str) -> None:
    response = await client.get(f"/{page}/{name}")
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "NOT_FOUND"
