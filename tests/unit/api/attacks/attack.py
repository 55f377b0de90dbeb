"""One request that means harm, and what it must come to."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

KEY = "sk-attacked"
LIMITS = {"max_body_bytes": 3_000_000, "max_file_bytes": 1_000_000}

GENERATIONS = "/v1/images/generations"
EDITS = "/v1/images/edits"

CODES = {
    400: "INVALID_REQUEST",
    401: "AUTHENTICATION_FAILED",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    413: "PAYLOAD_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
}
# By the server before the app, which cannot tell what was asked: plain text.
UNREADABLE = "unreadable"

BOUNDARY = "B"
FORM = f"multipart/form-data; boundary={BOUNDARY}"
END = b"--B--\r\n"


@dataclass(frozen=True, slots=True)
class Attack:
    """A row of the table.

    Attributes:
        name: What is tried.
        request: The bytes on the wire, or what makes them.
        status: Of the answer.
        param: The field that the error must name.
        code: Of the error; by default, that of the status.
    """

    name: str
    request: bytes | Callable[[], bytes]
    status: int = 400
    param: str | None = None
    code: str | None = None

    @property
    def content(self) -> bytes:
        """What is sent."""
        return self.request if isinstance(self.request, bytes) else self.request()

    @property
    def expected_code(self) -> str | None:
        """What the error body says; None where there is none."""
        return None if self.code == UNREADABLE else self.code or CODES.get(self.status)


def brief(text: str) -> str:
    """Return a text as the name of a row may hold it."""
    return text if len(text) <= 60 else f"{text[:30]}…{text[-3:]} of {len(text)}"


def request(
    start: str, *headers: str | bytes, body: bytes = b"", key: str | None = KEY, host: str = "krea"
) -> bytes:
    """Return a request with a host and the key, and no other header than those given."""
    lines: list[str | bytes] = [f"{start} HTTP/1.1", f"Host: {host}"]
    lines += [] if key is None else [f"Authorization: Bearer {key}"]
    encoded = (line if isinstance(line, bytes) else line.encode() for line in (*lines, *headers))
    return b"\r\n".join(encoded) + b"\r\n\r\n" + body


def post(path: str, content_type: str | bytes, body: bytes, *headers: str) -> bytes:
    """Return a POST whose length is right."""
    declared = content_type if isinstance(content_type, bytes) else content_type.encode()
    length = f"Content-Length: {len(body)}"
    return request(f"POST {path}", length, b"Content-Type: " + declared, *headers, body=body)


def chunked(path: str, content_type: str, *chunks: bytes) -> bytes:
    """Return a POST that does not say how long it will be."""
    framed = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    headers = ("Transfer-Encoding: chunked", f"Content-Type: {content_type}")
    return request(f"POST {path}", *headers, body=framed + b"0\r\n\r\n")


def json_post(body: bytes | str, path: str = GENERATIONS) -> bytes:
    """Return a POST of some text that claims to be JSON."""
    encoded = body if isinstance(body, bytes) else body.encode()
    return post(path, "application/json", encoded)


def json_of(fields: Mapping[str, str]) -> str:
    """Return the JSON object of a small picture with some fields, each given as JSON text."""
    sent = {"prompt": '"x"', "size": '"64x64"'} | dict(fields)
    return "{" + ", ".join(f"{json.dumps(name)}: {text}" for name, text in sent.items()) + "}"


def text_part(name: str, text: str | bytes) -> bytes:
    """Return a form's part that is a field."""
    content = text.encode() if isinstance(text, str) else text
    return part(f'Content-Disposition: form-data; name="{name}"'.encode(), content=content)


def file_part(content: bytes, name: str = "image", filename: bytes = b"a.png") -> bytes:
    """Return a form's part that is a file."""
    named = f'Content-Disposition: form-data; name="{name}"; filename="'.encode()
    return part(named + filename + b'"', b"Content-Type: image/png", content=content)


def part(*headers: bytes, content: bytes = b"x") -> bytes:
    """Return a form's part with these headers."""
    return b"\r\n".join([b"--" + BOUNDARY.encode(), *headers, b"", content, b""])


def form_post(*parts: bytes, end: bytes = END, content_type: str | bytes = FORM) -> bytes:
    """Return an edit with these parts."""
    return post(EDITS, content_type, b"".join(parts) + end)


def edit_of(content: bytes, *more: bytes) -> bytes:
    """Return an edit of a file that asks for it unchanged, in 64x64 pixels."""
    fields = (text_part("prompt", "x"), text_part("strength", "0"), text_part("size", "64x64"))
    return form_post(*fields, file_part(content), *more)
