"""What the text of a form would be in JSON, which has numbers and booleans.

JSON stays strict this way: only what came by a form is read so, and what the text is not, it stays,
for the field's own type to refuse.
"""

import json
import math
import re
from collections.abc import Mapping

from serve_app.api.parameters import Parameter
from serve_app.api.values.kinds import Flag, Integer, Number, ValueType
from serve_app.api.values.loras import Loras
from serve_app.api.values.size_grammar import ImageSize, Side

# Not endlessly many digits: turning thousands of them into an integer takes Python long.
_INTEGER = re.compile(r"[+-]?[0-9]{1,1000}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_FLAG = re.compile(r"(true|1)|false|0", re.IGNORECASE | re.ASCII)


def json_fields(fields: Mapping[str, object], table: tuple[Parameter, ...]) -> dict[str, object]:
    """Return a form's fields as the JSON object that says the same.

    Args:
        fields: As `form_body` reads them.
        table: Which fields are numbers and which are booleans.
    """
    types = {name: parameter.type for parameter in table for name in parameter.names}
    return {
        name: json_value(types[name], value) if name in types else value
        for name, value in fields.items()
    }


def json_value(kind: ValueType, value: object) -> object:
    """Return what a value of a form would be in JSON, if its field is of some type."""
    if isinstance(kind, ImageSize) and isinstance(value, Mapping):
        return {name: json_value(Side(kind.max_side_px), side) for name, side in value.items()}
    if not isinstance(value, str):
        return value
    match kind:
        case Integer() | Side():
            return _integer(value)
        case Number():
            return _number(value)
        case Flag():
            return _flag(value)
        case Loras():
            return _json(value)
    return value


def _integer(text: str) -> int | str:
    return int(text) if _INTEGER.fullmatch(text) else text


def _number(text: str) -> float | str:
    if not _NUMBER.fullmatch(text):
        return text
    number = float(text)
    return number if math.isfinite(number) else text


def _flag(text: str) -> bool | str:
    match = _FLAG.fullmatch(text)
    return text if match is None else match[1] is not None


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
