"""Requests whose bodies arrive in pieces, as a server hands them on."""

from collections.abc import Iterable

from starlette.requests import Request
from starlette.types import Message


def request_of(chunks: Iterable[bytes], *, is_cut_off: bool = False, **headers: str) -> Request:
    """Return a request; `content_type="a/b"` is a header, and `is_cut_off` a client that leaves."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    scope = {
        "type": "http",
        "method": "POST",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in named.items()],
    }
    remaining = iter(chunks)

    async def receive() -> Message:
        chunk = next(remaining, None)
        if chunk is None and is_cut_off:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": chunk or b"", "more_body": chunk is not None}

    return Request(scope, receive)


def in_pieces(content: bytes, size: int) -> Iterable[bytes]:
    return (content[start : start + size] for start in range(0, len(content), size))
