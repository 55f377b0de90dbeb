"""fal's list of adapters: `[{"path": …, "scale": …}]`."""

from collections.abc import Mapping
from dataclasses import dataclass

from serve_app.api.values import invalid
from serve_app.api.values.kinds import JsonSchema, Number, Text
from serve_app.lora_catalogue import MAX_LORAS, MAX_SCALE, MIN_SCALE
from serve_app.messages import Lora

MAX_PATH_CHARACTERS = 1000

_PATH = Text(MAX_PATH_CHARACTERS, is_blank_allowed=False)
_SCALE = Number(MIN_SCALE, MAX_SCALE)


@dataclass(frozen=True, slots=True)
class Loras:
    """A list of adapters; whether there are such adapters is not for it to know."""

    def read(self, field: str, value: object) -> tuple[Lora, ...]:
        """Return the adapters."""
        if not isinstance(value, list):
            raise invalid.wrong_type(field, "a list of objects with 'path' and 'scale'")
        if len(value) > MAX_LORAS:
            rule = f"Must have at most {MAX_LORAS} items; this has {len(value)}."
            raise invalid.wrong_value(field, value, rule)
        return tuple(_lora(f"{field}[{index}]", item) for index, item in enumerate(value))

    def schema(self) -> JsonSchema:
        """Return the JSON Schema of what it reads."""
        return {
            "type": "array",
            "maxItems": MAX_LORAS,
            "items": {
                "type": "object",
                "properties": {"path": _PATH.schema(), "scale": _SCALE.schema()},
                "required": ["path"],
                "additionalProperties": False,
            },
        }


def _lora(field: str, item: object) -> Lora:
    if not isinstance(item, Mapping):
        raise invalid.wrong_type(field, "an object with 'path' and 'scale'")
    for name in item:
        if name not in ("path", "scale"):
            rule = "An item has 'path' and 'scale' only."
            raise invalid.wrong_value(f"{field}.{name}", item[name], rule)
    if "path" not in item:
        raise invalid.missing(f"{field}.path")
    path = _PATH.read(f"{field}.path", item["path"])
    if "scale" not in item:
        return Lora(path)
    return Lora(path, _SCALE.read(f"{field}.scale", item["scale"]))
