"""`data:` URIs: files that are written out in a JSON string."""

import base64
import re

from serve_app.api.bodies.uploaded_file import file_too_large
from serve_app.errors import InvalidRequestError

# Python guesses `application/octet-stream` for WebP before 3.13, and so do its users.
_HEADER = re.compile(
    r"data:(?:image/[\w.+-]{1,100}|application/octet-stream)(?:;[\w.+-]{1,100}=[\w.+-]{1,100}){0,4}"
    r";base64,",
    re.IGNORECASE | re.ASCII,
)


# Python lets no other thread run while it decodes one; a multiple of 4.
PIECE_CHARACTERS = 2**20


def is_data_uri(url: str) -> bool:
    """Return whether a URL is a file in itself."""
    return url[:5].lower() == "data:"


def decode_data_uri(field: str, uri: str, max_bytes: int) -> bytes:
    """Return the file in a data URI.

    Strictly: base64 in its first alphabet, padded, without blanks or percent signs.

    Args:
        field: Where it came from, for errors.
        uri: Beginning with `data:`.
        max_bytes: Of the file.

    Raises:
        InvalidRequestError: It is not base64, or not declared as an image.
        PayloadTooLargeError: The file is longer than `max_bytes`.
    """
    header = _HEADER.match(uri)
    if header is None:
        raise _malformed(field, "it must begin like 'data:image/png;base64,'")
    text = uri[header.end() :]
    if len(text) > -(-max_bytes // 3) * 4:
        raise file_too_large(field, max_bytes)
    try:
        content = _decoded(text)
    except ValueError:
        raise _malformed(field, "what follows the comma is not base64") from None
    if len(content) > max_bytes:
        raise file_too_large(field, max_bytes)
    return content


def _decoded(text: str) -> bytes:
    if "=" in text[:-2]:
        raise ValueError("padding within")
    pieces = range(0, len(text), PIECE_CHARACTERS)
    return b"".join(
        base64.b64decode(text[start : start + PIECE_CHARACTERS], validate=True) for start in pieces
    )


def _malformed(field: str, reason: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"Invalid value for '{field}': the data URI cannot be read; {reason}.", field
    )
