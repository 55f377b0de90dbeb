"""How the size fields are written: the dialects of OpenAI, Lumenfall, fal and Replicate."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from serve_app.api import invalid
from serve_app.api.values import read_integer
from serve_app.messages import Size

MAX_FIELD_PX = 14142
DEFAULT_IMAGE_SIZE_SIDE_PX = 512

# ASCII digits, and not endlessly many: `\d` knows the digits of every script.
_NUMBER = r"[0-9]{1,30}(?:\.[0-9]{1,30})?"
_PIXELS = re.compile(r"([0-9]{1,30})[ \t]*[xX×*][ \t]*([0-9]{1,30})")  # noqa: RUF001 - the sign
_RATIO = re.compile(rf"({_NUMBER})[ \t]*:[ \t]*({_NUMBER})")
_TIER = re.compile(rf"({_NUMBER})[ \t]*(?:k|mp|p)?", re.IGNORECASE | re.ASCII)

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
        raise invalid.wrong_value(field, value, "Must be 'WIDTHxHEIGHT', 'W:H' or 'auto'.")


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
        raise invalid.wrong_value(field, value, "Must be 'W:H' with both above 0, or 'auto'.")


@dataclass(frozen=True, slots=True)
class Resolution:
    """`resolution`: a tier such as `1K`, `1MP` or `720p`."""

    def read(self, field: str, value: object) -> Fraction | None:
        """Return the number of the tier, or None."""
        text = _number_or_text(field, value)
        if text.lower() == "auto":
            return None
        if (match := _TIER.fullmatch(text)) and (tier := Fraction(match[1])) > 0:
            return tier
        raise invalid.wrong_value(field, value, "Must be a resolution such as '1K', or 'auto'.")


@dataclass(frozen=True, slots=True)
class Megapixels:
    """`megapixels`: an area, as the side of its square."""

    def read(self, field: str, value: object) -> int:
        """Return the side of the square, in pixels."""
        text = _number_or_text(field, value)
        if text not in MEGAPIXELS_SIDES_PX:
            raise invalid.not_among(field, value, MEGAPIXELS_SIDES_PX)
        return MEGAPIXELS_SIDES_PX[text]


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
    if match is None:
        return None
    width, height = Fraction(match[1]), Fraction(match[2])
    return width / height if width > 0 and height > 0 else None


def _text(field: str, value: object) -> str:
    if not isinstance(value, str):
        raise invalid.wrong_type(field, "a string")
    return value.strip(" \t")


def _number_or_text(field: str, value: object) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:g}" if isinstance(value, float) else str(value)
    if isinstance(value, str):
        return value.strip(" \t")
    raise invalid.wrong_type(field, "a string or a number")
