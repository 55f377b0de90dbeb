"""Untrusted bytes to a JSON object, strictly and in bounded time."""

import json
import math
from typing import Any, Never

from starlette.requests import ClientDisconnect, Request

from serve_app.api import invalid
from serve_app.errors import (
    InvalidRequestError,
    PayloadTooLargeError,
    UnsupportedMediaTypeError,
)

# More digits than any parameter has; turning thousands of digits into a number takes Python long.
MAX_INTEGER_DIGITS = 40


async def read_json_body(request: Request, max_bytes: int) -> dict[str, Any]:
    """Return the JSON object a request carries.

    Raises:
        PayloadTooLargeError: The body is longer than `max_bytes`, declared or read.
        UnsupportedMediaTypeError: The body is not declared as JSON.
        InvalidRequestError: The body is not one JSON object.
    """
    content = await _read_content(request, max_bytes)
    _check_content_type(request.headers.get("content-type", ""), content)
    return parse_json_object(content)


def parse_json_object(content: bytes) -> dict[str, Any]:
    """Return the JSON object in some bytes.

    Raises:
        InvalidRequestError: They are not one: also for NaN, numbers without end, a name given
            twice, half a surrogate pair, or nesting beyond Python's stack.
    """
    try:
        body = json.loads(
            content.decode("utf-8-sig"),
            parse_constant=_refuse_constant,
            parse_int=_parse_integer,
            parse_float=_parse_float,
            object_pairs_hook=_parse_object,
        )
    except RecursionError:
        raise InvalidRequestError("The JSON body is nested too deeply.") from None
    except ValueError as error:
        raise InvalidRequestError(f"The body is not valid JSON: {_reason(error)}.") from None
    if not isinstance(body, dict):
        raise InvalidRequestError("The JSON body must be an object.")
    return body


async def _read_content(request: Request, max_bytes: int) -> bytes:
    too_large = PayloadTooLargeError(f"The request body is larger than {max_bytes} bytes.")
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:MAX_INTEGER_DIGITS]) > max_bytes:
        raise too_large
    content = bytearray()
    try:
        async for chunk in request.stream():
            content += chunk
            if len(content) > max_bytes:
                raise too_large
    except ClientDisconnect:
        raise InvalidRequestError("The request body ended early.") from None
    return bytes(content)


def _check_content_type(content_type: str, content: bytes) -> None:
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == "application/json" or media_type.endswith("+json"):
        return
    # `curl -d '{…}'` without a header says it is a form.
    is_default = media_type in ("", "application/x-www-form-urlencoded")
    if is_default and content.lstrip().startswith(b"{"):
        return
    raise UnsupportedMediaTypeError(
        f"Unsupported content type {invalid.shown(media_type)}. Send application/json."
    )


def _parse_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    parsed: dict[str, Any] = {}
    for name, value in pairs:
        _check_characters(name, name)
        if isinstance(value, str):
            _check_characters(name, value)
        if name in parsed:
            raise InvalidRequestError(f"{invalid.shown(name)} is given twice.", name)
        parsed[name] = value
    return parsed


def _check_characters(name: str, text: str) -> None:
    """JSON can write half a surrogate pair, which is no character and cannot be answered back."""
    try:
        text.encode()
    except UnicodeEncodeError:
        param = None if text is name else name
        raise InvalidRequestError(
            f"Invalid value for {invalid.shown(name)}: it holds half of a surrogate pair.", param
        ) from None


def _refuse_constant(constant: str) -> Never:
    raise ValueError(f"{constant} is not a JSON number")


def _parse_integer(digits: str) -> int:
    # Cut short it is still far outside every range, and the error can name the field.
    return int(digits[:MAX_INTEGER_DIGITS])


def _parse_float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number


def _reason(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at line {error.lineno}, column {error.colno}"
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    return str(error)
