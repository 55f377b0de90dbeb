"""GET /media/…: pictures that were delivered as URLs, for whoever knows the name."""

from starlette.requests import Request
from starlette.responses import Response

from serve_app.api.services import services_of
from serve_app.errors import NotFoundError


async def get_media(request: Request) -> Response:
    """Return a picture's file; unknown and expired ones are the same 404."""
    name: str = request.path_params["name"]
    content = await services_of(request).images.get(name)
    if content is None:
        raise NotFoundError("There is no such picture, or it has expired.")
    headers = {
        "Content-Length": str(len(content)),
        "Cache-Control": "private",
        "X-Content-Type-Options": "nosniff",
    }
    body = b"" if request.method == "HEAD" else content
    return Response(body, headers=headers, media_type=f"image/{name.rpartition('.')[2]}")
