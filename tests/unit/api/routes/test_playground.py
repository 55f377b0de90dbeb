"""The playground is complete, self-contained, and asks for fields that the API knows."""

import re
from pathlib import Path

import httpx
import pytest

from serve_app.api.parameters import image_parameters
from serve_app.api.request.sizes import SUPPORTED_RATIOS
from serve_app.api.routes.pages import PLAYGROUND_ASSETS, PLAYGROUND_DIR
from serve_app.config import ApiConfig

PAGE = (PLAYGROUND_DIR / "index.html").read_text(encoding="utf-8")
SCRIPTS = sorted(PLAYGROUND_DIR.glob("*.js"))


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
    assert {file.name for file in PLAYGROUND_DIR.iterdir()} == {*PLAYGROUND_ASSETS, "index.html"}


@pytest.mark.parametrize("file", SCRIPTS, ids=lambda file: file.name)
def test_a_script_finds_what_it_needs(file: Path) -> None:
    script = file.read_text(encoding="utf-8")
    for imported, module in re.findall(
        r'^import \{ (.+?) \} from "\./(.+?)";$', script, re.MULTILINE
    ):
        exported = (PLAYGROUND_DIR / module).read_text(encoding="utf-8")
        for name in imported.split(", "):
            assert re.search(
                rf"^export (?:async )?(?:function |const ){name}\b", exported, re.MULTILINE
            )
    needed = set(re.findall(r'\b(?:byId|numberOrText)\("([^"]+)"\)', script))
    assert needed <= set(re.findall(r'\sid="([^"]+)"', PAGE))


@pytest.mark.parametrize("file", SCRIPTS, ids=lambda file: file.name)
def test_a_script_makes_no_html_of_what_it_is_told(file: Path) -> None:
    script = file.read_text(encoding="utf-8")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", script)
    assert len(script.splitlines()) <= 350


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
    controls = re.findall(r"<(?:input|select|textarea)\s[^>]*?\bid=\"([^\"]+)\"", PAGE)
    assert {"prompt", "file", "strength", "brush", "previews"} <= set(controls)
    for control in controls:
        assert f'<label for="{control}">' in PAGE
    for canvas in re.findall(r"<canvas[^>]*>", PAGE):
        assert 'tabindex="0"' in canvas
        assert "aria-label=" in canvas
    assert re.findall(r"<button[^>]*>\s*</button>", PAGE) == []


def test_it_sends_names_that_the_api_knows() -> None:
    script = (PLAYGROUND_DIR / "request.js").read_text(encoding="utf-8")
    sent = set(re.findall(r'\["([a-z0-9_]+)", (?!")', script))
    sent |= set(re.findall(r'form\.append\("([a-z]+)"', script))
    known = {parameter.name for parameter in image_parameters(ApiConfig())}
    assert {"prompt", "n", "seed", "cfg_scale", "output_format", "size"} <= sent
    assert {"image", "mask", "strength", "stream", "partial_images"} <= sent
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
