"""How the size fields are written: the dialects of OpenAI, Lumenfall, fal and Replicate."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from serve_app.api.values import invalid
from serve_app.api.values.kinds import JsonSchema, read_integer
from serve_app.api.values.patterns import any_case, integers_up_to, whole
from serve_app.messages import Size

MAX_FIELD_PX = 14142
DEFAULT_IMAGE_SIZE_SIDE_PX = 512

# ASCII digits, and not endlessly many: `\d` knows the digits of every script.
_ZEROS = r"0{0,25}"
_POSITIVE_INTEGER = rf"{_ZEROS}[1-9][0-9]{{0,29}}"
_POSITIVE = rf"(?:{_POSITIVE_INTEGER}(?:\.[0-9]{{1,30}})?|0{_ZEROS}\.{_POSITIVE_INTEGER})"
_SIGN = r"[ \t]*[xX×*][ \t]*"  # noqa: RUF001 - the sign of multiplication
_RATIO_PATTERN = rf"({_POSITIVE})[ \t]*:[ \t]*({_POSITIVE})"
_TIER_PATTERN = rf"({_POSITIVE})[ \t]*(?:[kK]|[mM][pP]|[pP])?"
_AUTO = any_case("auto")

_PIXELS = re.compile(rf"{_ZEROS}(0|[1-9][0-9]{{0,29}}){_SIGN}{_ZEROS}(0|[1-9][0-9]{{0,29}})")
_RATIO = re.compile(_RATIO_PATTERN)
_TIER = re.compile(_TIER_PATTERN)

PIXELS_OR_RATIO_RULE = "Must be 'WIDTHxHEIGHT', 'W:H' or 'auto'."
RATIO_RULE = "Must be 'W:H' with both above 0, or 'auto'."
RESOLUTION_RULE = "Must be a resolution such as '1K', or 'auto'."
MEGAPIXELS_RULE = "Must be 0.25 or 1, as a number or a string."
IMAGE_SIZE_RULE = "Must be an object with width and height in pixels."

MEGAPIXELS_SIDES_PX = {"0.25": 512, "1": 1024}

PRESETS = {
    "square_hd": Size(1024, 1024),
    "square": Size(512, 512),
    "portrait_4_3": Size(768, 1024),
    "portrait_16_9": Size(576, 1024),
    "landscape_4_3": Size(1024, 768),
    "landscape_16_9": Size(1024, 576),
}


@dataclass(frozen=True, slots=True)
class Side:
    """`width` and `height`: one side of a picture, in pixels."""

    max_side_px: int

    def read(self, field: str, value: object) -> int:
        """Return the side."""
        return _checked_side(field, value, self.max_side_px)

    def schema(self) -> JsonSchema:
        """Return the JSON Schema of what it reads."""
        maximum = min(self.max_side_px, MAX_FIELD_PX)
        return {"type": "integer", "minimum": 1, "maximum": maximum}


@dataclass(frozen=True, slots=True)
class PixelsOrRatio:
    """`size`: `WxH` is exact pixels, `W:H` a shape, `auto` nothing."""

    max_side_px: int

    def read(self, field: str, value: object) -> Size | Fraction | None:
        """Return the size, the shape, or None."""
        text = _text(field, value)
        if text.lower() == "auto":
            return None
        if match := _PIXELS.fullmatch(text):
            width, height = (
                _in_range(field, int(side), value, self.max_side_px) for side in match.groups()
            )
            return Size(width, height)
        if ratio := _ratio(text):
            return ratio
        raise invalid.wrong_value(field, value, PIXELS_OR_RATIO_RULE)

    def schema(self) -> JsonSchema:
        """Return the JSON Schema of what it reads."""
        side = _ZEROS + integers_up_to(min(self.max_side_px, MAX_FIELD_PX))
        pattern = _between_blanks(f"{side}{_SIGN}{side}", _RATIO_PATTERN, _AUTO)
        return {"type": "string", "pattern": pattern, "description": PIXELS_OR_RATIO_RULE}


@dataclass(frozen=True, slots=True)
class AspectRatio:
    """`aspect_ratio`: a shape, or a word for the input's own."""

    def read(self, field: str, value: object) -> Fraction | None:
        """Return the shape, or None."""
        text = _text(field, value)
        if text.lower() in ("auto", "match_input_image"):
            return None
        if ratio := _ratio(text):
            return ratio
        raise invalid.wrong_value(field, value, RATIO_RULE)

    def schema(self) -> JsonSchema:
        """Return the JSON Schema of what it reads."""
        pattern = _between_blanks(_RATIO_PATTERN, _AUTO, any_case("match_input_image"))
        return {"type": "string", "pattern": pattern, "description": RATIO_RULE}


@dataclass(frozen=True, slots=True)
class Resolution:
    """`resolution`: a tier such as `1K`, `1MP` or `720p`."""

    def read(self, field: str, value: object) -> Fraction | None:
        """Return the number of the tier, or None."""
        sent = _number_or_text(field, value)
        if isinstance(sent, Fraction):
            if sent > 0:
                return sent
        elif sent.lower() == "auto":
            return None
        elif match := _TIER.fullmatch(sent):
            return Fraction(match[1])
        raise invalid.wrong_value(field, value, RESOLUTION_RULE)

    def schema(self) -> JsonSchema:
        """Return the JSON Schema of what it reads."""
        text = {"type": "string", "pattern": _between_blanks(_TIER_PATTERN, _AUTO)}
        number = {"type": "number", "exclusiveMinimum": 0}
        return {"anyOf": [text, number], "description": RESOLUTION_RULE}


@dataclass(frozen=True, slots=True)
class Megapixels:
    """`megapixels`: an area, as the side of its square."""

    def read(self, field: str, value: object) -> int:
        """Return the side of the square, in pixels."""
        sent = _number_or_text(field, value)
        for text, side in MEGAPIXELS_SIDES_PX.items():
            if sent in (text, Fraction(text)):
                return side
        raise invalid.not_among(field, value, MEGAPIXELS_SIDES_PX)

    def schema(self) -> JsonSchema:
        """Return the JSON Schema of what it reads."""
        texts = [re.escape(text) for text in MEGAPIXELS_SIDES_PX]
        return {
            "anyOf": [
                {"enum": [*MEGAPIXELS_SIDES_PX, *map(float, MEGAPIXELS_SIDES_PX)]},
                {"type": "string", "pattern": _between_blanks(*texts)},
            ],
            "description": MEGAPIXELS_RULE,
        }


@dataclass(frozen=True, slots=True)
class ImageSize:
    """`image_size`: a preset's name, or an object with `width` and `height`."""

    max_side_px: int

    def read(self, field: str, value: object) -> Size:
        """Return the size."""
        if isinstance(value, Mapping):
            return Size(self._side(field, value, "width"), self._side(field, value, "height"))
        if not isinstance(value, str):
            raise invalid.wrong_type(field, "a string or an object")
        if value not in PRESETS:
            raise invalid.not_among(field, value, PRESETS)
        return PRESETS[value]

    def schema(self) -> JsonSchema:
        """Return the JSON Schema of what it reads."""
        side = {"anyOf": [Side(self.max_side_px).schema(), {"type": "null"}]}
        pixels = {
            "type": "object",
            "properties": {"width": side, "height": side},
            "description": IMAGE_SIZE_RULE,
        }
        return {"anyOf": [{"type": "string", "enum": list(PRESETS)}, pixels]}

    def _side(self, field: str, sides: Mapping[str, object], name: str) -> int:
        side = sides.get(name)
        if side is None:
            return DEFAULT_IMAGE_SIZE_SIDE_PX
        return _checked_side(field, side, self.max_side_px)


def _checked_side(field: str, value: object, max_side_px: int) -> int:
    return _in_range(field, read_integer(field, value), value, max_side_px)


def _in_range(field: str, side: int, value: object, max_side_px: int) -> int:
    if not 1 <= side <= MAX_FIELD_PX:
        raise invalid.wrong_value(field, value, f"Each side must be 1 to {MAX_FIELD_PX} pixels.")
    if side > max_side_px:
        rule = f"This model's pictures have at most {max_side_px} pixels on each side."
        raise invalid.wrong_value(field, value, rule)
    return side


def _ratio(text: str) -> Fraction | None:
    match = _RATIO.fullmatch(text)
    return None if match is None else Fraction(match[1]) / Fraction(match[2])


def _between_blanks(*alternatives: str) -> str:
    return whole(rf"[ \t]*(?:{'|'.join(alternatives)})[ \t]*")


def _text(field: str, value: object) -> str:
    if not isinstance(value, str):
        raise invalid.wrong_type(field, "a string")
    return value.strip(" \t")


def _number_or_text(field: str, value: object) -> Fraction | str:
    if isinstance(value, str):
        return value.strip(" \t")
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) == math.inf:
        raise invalid.wrong_type(field, "a string or a number")
    return Fraction(value)
