"""GET /playground and /docs: static pages that use the API as any other client does."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response

from serve_app.errors import NotFoundError

PLAYGROUND_DIR = Path(__file__).parents[1] / "playground"
PLAYGROUND_ASSETS = (
    "client.js",
    "easel.js",
    "icon.svg",
    "playground.css",
    "playground.js",
    "request.js",
    "results.js",
)

# The page holds a key, so it runs its own script only and talks to its own server only.
PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
}
DOCS_DIR = Path(__file__).parents[1] / "docs_page"
# Swagger UI as its makers publish it. The code around it is for FastAPI, and is not imported.
SWAGGER_UI_DIR = Path(str(distribution("fastapi-swagger").locate_file("fastapi_swagger/resources")))
DOCS_ASSETS = {
    "docs.css": DOCS_DIR,
    "docs.js": DOCS_DIR,
    "swagger-ui-bundle.js": SWAGGER_UI_DIR,
    "swagger-ui.css": SWAGGER_UI_DIR,
}
# Its icons are in its style sheet.
DOCS_HEADERS = {
    **PAGE_HEADERS,
    "Content-Security-Policy": PAGE_HEADERS["Content-Security-Policy"].replace(
        "img-src 'self' blob:", "img-src 'self' blob: data:"
    ),
}
ASSET_HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}


@dataclass(frozen=True)
class Page:
    """A page, and the files that it loads.

    Attributes:
        index: Its HTML.
        headers: To be sent with the HTML.
        assets: The folder of each file, by name.
    """

    index: Path
    headers: Mapping[str, str]
    assets: Mapping[str, Path]

    async def show(self, _request: Request) -> Response:
        """Return the page."""
        return FileResponse(self.index, headers={**ASSET_HEADERS, **self.headers})

    async def asset(self, request: Request) -> Response:
        """Return one of its files."""
        name = request.path_params["name"]
        if name not in self.assets:
            raise NotFoundError("The page has no such file.")
        return FileResponse(self.assets[name] / name, headers=ASSET_HEADERS)


PLAYGROUND = Page(
    PLAYGROUND_DIR / "index.html", PAGE_HEADERS, dict.fromkeys(PLAYGROUND_ASSETS, PLAYGROUND_DIR)
)
DOCS = Page(DOCS_DIR / "index.html", DOCS_HEADERS, DOCS_ASSETS)


async def root(_request: Request) -> Response:
    """Lead a browser to the playground, whatever prefix a proxy has put before this server."""
    return RedirectResponse("playground")
