"""GET /playground: one static page that uses the API as any other client does."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response

from serve_app.errors import NotFoundError

PLAYGROUND_DIR = Path(__file__).parent / "playground"
ASSETS = ("icon.svg", "playground.css", "playground.js", "request.js")

# The page holds a key, so it runs its own script only and talks to its own server only.
PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
}
ASSET_HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}


async def root(request: Request) -> Response:
    """Lead a browser to the playground, whatever prefix a proxy has put before this server."""
    return RedirectResponse("playground")


async def playground(request: Request) -> Response:
    """Return the page."""
    return FileResponse(PLAYGROUND_DIR / "index.html", headers=ASSET_HEADERS | PAGE_HEADERS)


async def playground_asset(request: Request) -> Response:
    """Return one of the page's own files."""
    name = request.path_params["name"]
    if name not in ASSETS:
        raise NotFoundError("The playground has no such file.")
    return FileResponse(PLAYGROUND_DIR / name, headers=ASSET_HEADERS)
