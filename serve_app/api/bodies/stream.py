"""The untrusted bytes of a request, counted while they arrive."""

from collections.abc import AsyncIterator

from starlette.requests import ClientDisconnect, Request

from serve_app.api.values import invalid
from serve_app.errors import (
    InvalidRequestError,
    PayloadTooLargeError,
    UnsupportedMediaTypeError,
)

# A Content-Length of thousands of digits would take Python long to read.
MAX_LENGTH_DIGITS = 40


async def stream_body(request: Request, max_bytes: int) -> AsyncIterator[bytes]:
    """Yield a request's body, as it comes.

    Raises:
        PayloadTooLargeError: The body is longer than `max_bytes`, declared or read.
        InvalidRequestError: The client left before its end.
    """
    too_large = PayloadTooLargeError(f"The request body is larger than {max_bytes} bytes.")
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:MAX_LENGTH_DIGITS]) > max_bytes:
        raise too_large
    num_bytes = 0
    try:
        async for chunk in request.stream():
            num_bytes += len(chunk)
            if num_bytes > max_bytes:
                raise too_large
            yield chunk
    except ClientDisconnect:
        raise InvalidRequestError("The request body ended early.") from None


def media_type_of(request: Request) -> str:
    """Return what a request says its body is, without parameters; empty if it says nothing."""
    content_type = request.headers.get("content-type", "")
    return content_type.partition(";")[0].strip().lower()


def unsupported(media_type: str) -> UnsupportedMediaTypeError:
    """A body of a kind that the endpoint does not read."""
    return UnsupportedMediaTypeError(f"Unsupported content type {invalid.shown(media_type)}.")
