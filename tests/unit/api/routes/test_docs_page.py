"""The documentation is complete and asks no other server for anything."""

import re

import httpx

from serve_app.api.routes.pages import DOCS_ASSETS, DOCS_DIR, SWAGGER_UI_DIR


async def test_every_file_of_the_page_is_served(client: httpx.AsyncClient) -> None:
    page = (await client.get("/docs")).text
    linked = set(re.findall(r'(?:href|src)="([^"]+)"', page))
    assert {"docs/docs.js", "docs/swagger-ui-bundle.js", "openapi.json"} <= linked
    for path in linked:
        assert (await client.get(f"/{path}")).status_code == 200
    own_files = {name for name, folder in DOCS_ASSETS.items() if folder == DOCS_DIR}
    assert {file.name for file in DOCS_DIR.iterdir()} == {*own_files, "index.html"}


async def test_it_runs_its_own_scripts_only_and_asks_its_own_server_only(
    client: httpx.AsyncClient,
) -> None:
    response = await client.get("/docs")
    policy = dict(
        directive.split(" ", 1)
        for directive in response.headers["content-security-policy"].split("; ")
    )
    assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    # What the policy would block: inline scripts, inline styles, inline event handlers.
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son[a-z]+=", response.text)


def test_no_file_loads_anything_from_elsewhere() -> None:
    page = (DOCS_DIR / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"""(?:href|src)=["'](?:[a-z]+:)?//""", page)
    script = (DOCS_DIR / "docs.js").read_text(encoding="utf-8")
    assert "//" not in re.sub(r"^\s*//.*$", "", script, flags=re.MULTILINE)
    # Its default is a service on the internet that is sent the document.
    assert "validatorUrl: null" in script
    styles = (SWAGGER_UI_DIR / "swagger-ui.css").read_text(encoding="utf-8")
    loaded = re.findall(r"url\(\s*[\"']?([^)\"']{1,20})|@import", styles)
    assert loaded
    assert all(url.startswith("data:") for url in loaded)


def test_the_renderer_knows_openapi_3_1() -> None:
    script = (SWAGGER_UI_DIR / "swagger-ui-bundle.js").read_text(encoding="utf-8")
    match = re.search(r'PACKAGE_VERSION:"(\d+)\.(\d+)', script)
    assert match is not None
    assert (int(match[1]), int(match[2])) >= (5, 0)
