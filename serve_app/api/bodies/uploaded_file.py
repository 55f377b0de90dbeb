"""A file that a client sent, or that was fetched for it, and how large one may be."""

from dataclasses import dataclass, field

from serve_app.errors import PayloadTooLargeError

BYTES_PER_MB = 10**6


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A file part of a form.

    Attributes:
        filename: The client's own name for it; nothing is decided by it.
        content: The bytes.
    """

    filename: str
    content: bytes = field(repr=False)


def file_too_large(field: str, max_bytes: int) -> PayloadTooLargeError:
    """A file is longer than `max_bytes`."""
    size_mb = max_bytes / BYTES_PER_MB
    return PayloadTooLargeError(f"'{field}' is larger than {size_mb:g} MB.", field)
