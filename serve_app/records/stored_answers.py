"""Answers in the form in which the database keeps them."""

import json
import zlib
from dataclasses import dataclass

# A picture in base64 holds six bits per byte. Huffman codes save that quarter, ten times as fast as
# a search for repetitions, of which it has none.
STRATEGY = zlib.Z_HUFFMAN_ONLY
LEVEL = 1


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An answer to be given again.

    Attributes:
        request_id: Of the request that it was made for.
        status_code: HTTP's.
        headers: Those that belong to the content: name and value of each.
        body: The same bytes.
    """

    request_id: str
    status_code: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def packed(body: bytes) -> bytes:
    """Return a body, made smaller."""
    compressor = zlib.compressobj(LEVEL, strategy=STRATEGY)
    return compressor.compress(body) + compressor.flush()


def unpacked(content: bytes) -> bytes:
    """Return what was packed."""
    return zlib.decompress(content)


def headers_as_text(headers: tuple[tuple[str, str], ...]) -> str:
    """Return headers as JSON."""
    return json.dumps(headers)


def headers_of_text(text: str) -> tuple[tuple[str, str], ...]:
    """Return the headers that a text holds."""
    return tuple((name, value) for name, value in json.loads(text))
