"""An untrusted multipart form to what a JSON body would be, but for text where JSON has types."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from starlette.requests import Request

from serve_app.api.bodies.multipart import Part, PartReader
from serve_app.api.bodies.stream import stream_body
from serve_app.api.bodies.uploaded_file import UploadedFile
from serve_app.api.values import invalid
from serve_app.errors import InvalidRequestError

MEDIA_TYPE = "multipart/form-data"

# How clients that cannot leave a field out say that it is not given.
NOT_GIVEN = ("", "null")
# Except here: nobody leaves out the prompt, and "null" is one.
ALWAYS_GIVEN = "prompt"

# Given twice it is two pictures, with brackets or without.
ALWAYS_A_LIST = "image"

_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\]){0,4})")
_KEY = re.compile(r"\[([^\[\]]*)\]")


async def read_form_body(
    request: Request,
    max_body_bytes: int,
    max_file_bytes: int,
    canonical: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the fields of a form: text as `str`, files as `UploadedFile`.

    `name[key]` makes an object of them and `name[]` a list; both may be nested.

    Args:
        request: With the form.
        max_body_bytes: Of all of it.
        max_file_bytes: Of each file.
        canonical: By which name an error calls a file that has another, where it has.

    Raises:
        PayloadTooLargeError: The body, or one of its files, is over its limit.
        InvalidRequestError: The body is no form, or contradicts itself.
    """
    reader = PartReader(request.headers.get("content-type", ""), max_file_bytes, canonical)
    async for chunk in stream_body(request, max_body_bytes):
        reader.write(chunk)
    return form_object(reader.parts())


def form_object(parts: Iterable[Part]) -> dict[str, Any]:
    """Return the fields that some parts make together.

    Raises:
        InvalidRequestError: A field is given twice, or is not UTF-8.
    """
    fields: dict[str, Any] = {}
    for part in parts:
        keys = _keys(part.name)
        value = _value(part, keys[0])
        if value is not None:
            _put(fields, keys, value, keys[0])
    return fields


def _keys(name: str) -> list[str]:
    """Return the way to a value: `a[b][]` is `a`, `b` and an empty key for the list."""
    match = _NAME.fullmatch(name)
    if match is None:
        return [name]
    keys = [match[1], *_KEY.findall(match[2])]
    return [*keys, ""] if keys == [ALWAYS_A_LIST] else keys


def _value(part: Part, field: str) -> str | UploadedFile | None:
    if part.filename is not None:
        # What a browser sends for a file input that was left alone.
        is_given = part.filename or part.content
        return UploadedFile(part.filename, part.content) if is_given else None
    try:
        text = part.content.decode()
    except UnicodeDecodeError:
        raise InvalidRequestError(
            f"Invalid value for {invalid.shown(field)}: it is not UTF-8.", field
        ) from None
    return None if text in NOT_GIVEN and field != ALWAYS_GIVEN else text


def _put(container: Any, keys: list[str], value: str | UploadedFile, field: str) -> None:
    """Put a value where its keys lead from an object or a list, making others on the way."""
    key, *inner_keys = keys
    if inner_keys:
        empty: Any = {} if inner_keys[0] else []
        inner = _inner(container, key, empty)
        if type(inner) is not type(empty):
            raise _given_twice(field)
        _put(inner, inner_keys, value, field)
    elif isinstance(container, list):
        container.append(value)
    elif key in container:
        raise _given_twice(field)
    else:
        container[key] = value


def _inner(container: Any, key: str, empty: Any) -> Any:
    if isinstance(container, list):
        container.append(empty)
        return empty
    return container.setdefault(key, empty)


def _given_twice(field: str) -> InvalidRequestError:
    return InvalidRequestError(f"{invalid.shown(field)} is given twice.", field)
