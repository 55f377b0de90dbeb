"""multipart/form-data to its parts, with every count and size limited while it is read."""

from collections.abc import Mapping
from dataclasses import dataclass

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from serve_app.api.bodies.uploaded_file import file_too_large
from serve_app.api.values import invalid
from serve_app.errors import InvalidRequestError

MAX_PARTS = 200

# Of one part: a Content-Disposition, a Content-Type and what else a client may think of.
MAX_HEADERS = 8
MAX_HEADER_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a form.

    Attributes:
        name: Of the field, as the client wrote it.
        filename: None for text.
        content: The bytes; those of a file are within their limit.
    """

    name: str
    filename: str | None
    content: bytes


class PartReader:
    """Takes a multipart body in pieces, and gives its parts in the end."""

    def __init__(
        self, content_type: str, max_file_bytes: int, canonical: Mapping[str, str] | None = None
    ) -> None:
        """Begin a body.

        Args:
            content_type: The whole header; its boundary separates the parts.
            max_file_bytes: Of each part that is a file.
            canonical: By which name an error calls a file that has another, where it has.

        Raises:
            InvalidRequestError: There is no usable boundary.
        """
        self._max_file_bytes, self._canonical = max_file_bytes, canonical or {}
        self._parts: list[Part] = []
        self._num_delimiters = 0
        self._tail = b""
        self._is_complete = False
        self._begin_part()
        boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
        if not boundary:
            raise InvalidRequestError("The multipart body has no boundary.")
        self._delimiter = b"\r\n--" + boundary
        try:
            self._parser = self._parser_for(boundary)
        except FormParserError as error:
            raise _malformed(error) from None

    def write(self, chunk: bytes) -> None:
        """Read on.

        Raises:
            InvalidRequestError: This is no form, or one with too many parts.
            PayloadTooLargeError: A file is over its limit; the rest need not be read.
        """
        self._check_delimiters(chunk)
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise _malformed(error) from None

    def parts(self) -> tuple[Part, ...]:
        """Return the parts, in their order.

        Raises:
            InvalidRequestError: The closing boundary has not come.
        """
        if not self._is_complete:
            raise InvalidRequestError("The multipart body ended early.")
        return tuple(self._parts)

    def _parser_for(self, boundary: bytes) -> MultipartParser:
        return MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_begin": self._begin_header,
                "on_header_field": self._add_to_header_name,
                "on_header_value": self._add_to_header_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._end_headers,
                "on_part_data": self._add_content,
                "on_part_end": self._end_part,
                "on_end": self._end,
            },
            max_header_count=MAX_HEADERS,
            max_header_size=MAX_HEADER_BYTES,
        )

    def _check_delimiters(self, chunk: bytes) -> None:
        """Refuse what the parser is slow on: it goes byte by byte through what follows each one."""
        self._num_delimiters += chunk.count(self._delimiter)
        if self._num_delimiters > MAX_PARTS:
            raise _too_many_parts()
        # A delimiter may lie across two chunks.
        seen = self._tail + chunk
        if self._delimiter + b" " in seen or self._delimiter + b"\t" in seen:
            raise InvalidRequestError("The form has a boundary with blanks behind it.")
        self._tail = seen[-len(self._delimiter) :]

    def _begin_part(self) -> None:
        if len(self._parts) == MAX_PARTS:
            raise _too_many_parts()
        self._headers: dict[bytes, bytes] = {}
        self._name = ""
        self._filename: str | None = None
        self._chunks: list[bytes] = []
        self._num_bytes = 0

    def _begin_header(self) -> None:
        self._header_name = self._header_value = b""

    def _add_to_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _add_to_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _end_header(self) -> None:
        self._headers[self._header_name.lower()] = self._header_value

    def _end_headers(self) -> None:
        kind, options = parse_options_header(self._headers.get(b"content-disposition"))
        if kind != b"form-data":
            raise InvalidRequestError("A part of the form has no Content-Disposition: form-data.")
        self._name = _field_name(options.get(b"name", b""))
        if self._headers.get(b"content-type", b"").lower().startswith(b"multipart/"):
            raise InvalidRequestError(
                f"{invalid.shown(self._name)} is a form within the form.", self._name
            )
        if b"filename" in options:
            self._filename = options[b"filename"].decode("utf-8", "replace")

    def _add_content(self, data: bytes, start: int, end: int) -> None:
        self._num_bytes += end - start
        if self._filename is not None and self._num_bytes > self._max_file_bytes:
            name = self._name.partition("[")[0]
            raise file_too_large(self._canonical.get(name, name), self._max_file_bytes)
        self._chunks.append(data[start:end])

    def _end_part(self) -> None:
        self._parts.append(Part(self._name, self._filename, b"".join(self._chunks)))

    def _end(self) -> None:
        self._is_complete = True


def _field_name(encoded: bytes) -> str:
    try:
        name = encoded.decode()
    except UnicodeDecodeError:
        raise InvalidRequestError("The name of a form field is not UTF-8.") from None
    if not name:
        raise InvalidRequestError("A part of the form has no name.")
    if not name.isprintable():
        raise InvalidRequestError(f"The name of a form field is unreadable: {invalid.shown(name)}.")
    return name


def _too_many_parts() -> InvalidRequestError:
    return InvalidRequestError(f"The form has more than {MAX_PARTS} parts.")


def _malformed(error: FormParserError) -> InvalidRequestError:
    return InvalidRequestError(f"The body is not valid multipart/form-data: {error}.")
