"""GET /healthz and /readyz, for whoever starts and watches the server."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from serve_app.api.services import services_of
from serve_app.errors import OverloadedError


async def healthz(request: Request) -> Response:
    """Answer: this process is alive."""
    return JSONResponse({"status": "ok"})


async def readyz(request: Request) -> Response:
    """Answer whether a request would be served now; 503 while the weights load."""
    if not await services_of(request).is_ready():
        raise OverloadedError("The server is not ready: it is loading the model.", reason="loading")
    return JSONResponse({"status": "ready"})
