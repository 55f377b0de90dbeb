"""Untrusted bytes to a JSON object, strictly and in bounded time."""

import json
import math
from typing import Any, Never

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from serve_app.api.bodies.stream import media_type_of, stream_body, unsupported
from serve_app.api.values import invalid
from serve_app.errors import InvalidRequestError

# More digits than any parameter has; turning thousands of digits into a number takes Python long.
MAX_INTEGER_DIGITS = 40

# A few bytes of JSON become an object of a hundred. Characters inside strings are counted too:
# there are far fewer in any prompt, and none in base64.
MAX_VALUES = 100_000
BEGINNINGS_OF_VALUES = (b"{", b"[", b",")


async def read_json_body(request: Request, max_bytes: int) -> dict[str, Any]:
    """Return the JSON object a request carries.

    Raises:
        PayloadTooLargeError: The body is longer than `max_bytes`, declared or read.
        UnsupportedMediaTypeError: The body is not declared as JSON.
        InvalidRequestError: The body is not one JSON object.
    """
    content = b"".join([chunk async for chunk in stream_body(request, max_bytes)])
    _check_media_type(media_type_of(request), content)
    return await run_in_threadpool(parse_json_object, content)


def parse_json_object(content: bytes) -> dict[str, Any]:
    """Return the JSON object in some bytes.

    Raises:
        InvalidRequestError: They are not one: also for NaN, numbers without end, a name given
            twice, half a surrogate pair, nesting beyond Python's stack, or too many values.
    """
    if sum(map(content.count, BEGINNINGS_OF_VALUES)) > MAX_VALUES:
        raise InvalidRequestError(f"The JSON body has more than {MAX_VALUES:,} values.")
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


def _check_media_type(media_type: str, content: bytes) -> None:
    if media_type == "application/json" or media_type.endswith("+json"):
        return
    # `curl -d '{…}'` without a header says it is a form.
    is_default = media_type in ("", "application/x-www-form-urlencoded")
    if not (is_default and content.lstrip().startswith(b"{")):
        raise unsupported(media_type)


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
