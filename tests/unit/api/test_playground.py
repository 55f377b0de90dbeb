"""The playground is complete, self-contained, and asks for fields that the API knows."""

import re

import httpx
import pytest

from serve_app.api.pages import ASSETS, PLAYGROUND_DIR
from serve_app.api.parameters import image_parameters
from serve_app.api.sizes import SUPPORTED_RATIOS
from serve_app.config import ApiConfig


async def test_the_root_leads_to_it(client: httpx.AsyncClient) -> None:
    response = await client.get("/", follow_redirects=True)
    assert response.url.path == "/playground"
    assert response.headers["content-type"].startswith("text/html")


async def test_every_file_of_the_page_is_served(client: httpx.AsyncClient) -> None:
    page = (await client.get("/playground")).text
    linked = set(re.findall(r'(?:href|src)="([^"]+)"', page))
    assert linked
    for path in linked:
        assert (await client.get(f"/{path}")).status_code == 200
    assert {file.name for file in PLAYGROUND_DIR.iterdir()} == {*ASSETS, "index.html"}


@pytest.mark.parametrize(
    ("name", "media_type"),
    [("playground.js", "javascript"), ("playground.css", "text/css"), ("icon.svg", "image/svg")],
)
async def test_files_have_their_types(
    client: httpx.AsyncClient, name: str, media_type: str
) -> None:
    response = await client.get(f"/playground/{name}")
    assert media_type in response.headers["content-type"]
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", ["nope.js", "index.html", "..%2Fapp.py", "%2e%2e%2fapp.py"])
async def test_nothing_else_is_served(client: httpx.AsyncClient, name: str) -> None:
    response = await client.get(f"/playground/{name}")
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "NOT_FOUND"


async def test_it_runs_its_own_script_only(client: httpx.AsyncClient) -> None:
    response = await client.get("/playground")
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    # What the policy would block: inline scripts, inline styles, inline event handlers.
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son[a-z]+=", response.text)
    assert not re.search(r"""(?:href|src)=["'](?:https?:)?//""", response.text)


def test_every_control_has_a_name_for_screen_readers() -> None:
    page = (PLAYGROUND_DIR / "index.html").read_text(encoding="utf-8")
    controls = re.findall(r"<(?:input|select|textarea)\s[^>]*?\bid=\"([^\"]+)\"", page)
    assert len(controls) >= 9
    for control in controls:
        assert f'<label for="{control}">' in page


def test_it_sends_names_that_the_api_knows() -> None:
    script = (PLAYGROUND_DIR / "request.js").read_text(encoding="utf-8")
    sent = set(re.findall(r'\["([a-z0-9_]+)", (?:JSON|number|\')', script))
    known = {parameter.name for parameter in image_parameters(ApiConfig())}
    assert {"prompt", "n", "seed", "cfg_scale", "output_format", "size"} <= sent
    assert sent <= known


def test_it_offers_every_shape_of_the_model() -> None:
    script = (PLAYGROUND_DIR / "playground.js").read_text(encoding="utf-8")
    shapes = set(re.findall(r'"(\d+:\d+)"', script))
    assert {f"{width}:{height}" for width, height in (shape.split(":") for shape in shapes)} == {
        "9:21",
        "9:16",
        "2:3",
        "3:4",
        "4:5",
        "1:1",
        "5:4",
        "4:3",
        "3:2",
        "16:9",
        "21:9",
    }
    assert len(shapes) == len(SUPPORTED_RATIOS)
