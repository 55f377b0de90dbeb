"""GET /media/…: pictures that were delivered as URLs, for whoever has the URL."""

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from serve_app.api.services import services_of
from serve_app.errors import NotFoundError
from serve_app.storage.store import StoredImage


async def get_media(request: Request) -> Response:
    """Return a picture's file; unknown, altered and expired URLs are the same 404."""
    is_head = request.method == "HEAD"
    images = services_of(request).images
    image = await images.get(request.path_params["name"], with_content=not is_head)
    if image is None:
        raise NotFoundError("There is no such picture, or it has expired.")
    validators = _validators(image)
    if _known_tags(request) & {validators["ETag"], "*"}:
        return Response(status_code=304, headers=validators)
    headers = {**validators, **_content_headers(image)}
    return (
        Response(headers=headers) if is_head else StreamingResponse(image.chunks(), headers=headers)
    )


def _validators(image: StoredImage) -> dict[str, str]:
    return {
        # A name is never given to another content.
        "ETag": f'"{image.object_name.picture_id}"',
        "Cache-Control": f"private, max-age={image.seconds_left}",
    }


def _content_headers(image: StoredImage) -> dict[str, str]:
    return {
        "Content-Type": f"image/{image.object_name.output_format}",
        "Content-Length": str(image.size_bytes),
        "Content-Disposition": f'inline; filename="{image.object_name.file_name}"',
        # A request for parts gets the whole: pictures are small, and a thousand parts are a trap.
        "Accept-Ranges": "none",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }


def _known_tags(request: Request) -> set[str]:
    """Return the versions that a client says it has."""
    listed = ",".join(request.headers.getlist("if-none-match"))
    return {tag.strip().removeprefix("W/") for tag in listed.split(",")}
