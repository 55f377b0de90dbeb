"""The one table of what a client may send, in every dialect, and how a body is read by it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from serve_app.api import invalid
from serve_app.api.size_grammar import (
    AspectRatio,
    ImageSize,
    Megapixels,
    PixelsOrRatio,
    Resolution,
    Side,
)
from serve_app.api.values import Choice, Flag, Integer, Number, Text, Unsupported, ValueType
from serve_app.config import ApiConfig
from serve_app.messages import NUM_SEEDS

MAX_PROMPT_CHARACTERS = 32000
MAX_NAME_CHARACTERS = 1000

NO_IMAGES = "it makes pictures from text only."
NO_MASKS = "it does not edit pictures."


@dataclass(frozen=True, slots=True)
class Parameter:
    """One thing a client can say.

    Attributes:
        name: The canonical one.
        type: How its JSON value is read.
        behaviour: `renamed`, `converted`, `emulated` (done by this server) or `passthrough` (the
            model's own), in the words of the API this one is compatible with.
        default: When it is not given.
        aliases: Other names of the same thing; with different values they contradict each other.
        is_required: Whether it must be given.
    """

    name: str
    type: ValueType
    behaviour: Literal["renamed", "converted", "emulated", "passthrough"]
    default: object = None
    aliases: tuple[str, ...] = ()
    is_required: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Every name a client may use, the canonical one first."""
        return (self.name, *self.aliases)


SUBJECT = (
    Parameter(
        "prompt", Text(MAX_PROMPT_CHARACTERS, is_blank_allowed=False), "renamed", is_required=True
    ),
    Parameter("model", Text(MAX_NAME_CHARACTERS), "renamed"),
    Parameter("seed", Integer(0, NUM_SEEDS - 1), "passthrough"),
    Parameter("safety_identifier", Text(MAX_NAME_CHARACTERS), "passthrough"),
    Parameter("user", Text(MAX_NAME_CHARACTERS), "passthrough"),
)

DENOISING = (
    Parameter("cfg_scale", Number(0, 20), "renamed", 4.5, aliases=("guidance_scale", "guidance")),
    Parameter("num_inference_steps", Integer(1, 50), "passthrough", 28, aliases=("steps",)),
    Parameter("strength", Number(0, 1), "renamed", 0.95, aliases=("prompt_strength",)),
    Parameter("acceleration", Choice(("none", "regular", "high")), "converted"),
    Parameter("go_fast", Flag(), "converted"),
    Parameter("enable_safety_checker", Flag(), "converted"),
    Parameter("disable_safety_checker", Flag(), "converted"),
)

DELIVERY = (
    Parameter(
        "output_format",
        Choice(("png", "jpeg", "webp"), synonyms={"jpg": "jpeg"}, is_any_case=True),
        "emulated",
        "png",
    ),
    Parameter("output_compression", Integer(0, 100), "emulated", 100, aliases=("output_quality",)),
    Parameter("response_format", Choice(("url", "b64_json")), "emulated", "url"),
    Parameter("sync_mode", Flag(), "emulated", False),
    Parameter("stream", Flag(), "emulated", False),
    Parameter("partial_images", Integer(0, 3), "emulated", 0),
)

INPUT_IMAGES = (
    Parameter(
        "image",
        Unsupported("image", NO_IMAGES),
        "renamed",
        aliases=("image[]", "images", "image_url"),
    ),
    Parameter(
        "mask", Unsupported("mask", NO_MASKS), "converted", aliases=("mask_image", "mask_url")
    ),
)


@cache
def image_parameters(config: ApiConfig) -> tuple[Parameter, ...]:
    """Return the table, with the limits of one configuration."""
    number = Parameter(
        "n", Integer(1, config.max_images), "emulated", 1, aliases=("num_images", "num_outputs")
    )
    sizes = _size_parameters(config.max_side_px)
    return (*SUBJECT, number, *sizes, *DENOISING, *DELIVERY, *INPUT_IMAGES)


def _size_parameters(max_side_px: int) -> tuple[Parameter, ...]:
    return (
        Parameter("size", PixelsOrRatio(max_side_px), "converted"),
        Parameter("aspect_ratio", AspectRatio(), "converted"),
        Parameter("resolution", Resolution(), "converted"),
        Parameter("megapixels", Megapixels(), "converted"),
        Parameter("image_size", ImageSize(max_side_px), "converted"),
        Parameter("width", Side(max_side_px), "converted"),
        Parameter("height", Side(max_side_px), "converted"),
    )


@dataclass(frozen=True, slots=True)
class Fields:
    """A body as the table reads it.

    Attributes:
        values: By canonical name: what was given, else the default.
        given: By canonical name: the names it was sent under.
        unknown: Names the table does not have, in the order they were sent.
    """

    values: Mapping[str, Any]
    given: Mapping[str, tuple[str, ...]]
    unknown: tuple[str, ...]


def read_fields(body: Mapping[str, object], table: tuple[Parameter, ...]) -> Fields:
    """Return what a body says; a field that is null is not given.

    Raises:
        InvalidRequestError: A field is missing, of the wrong type, out of range, or contradicted.
    """
    sent = {name: value for name, value in body.items() if value is not None}
    values: dict[str, object] = {}
    given: dict[str, tuple[str, ...]] = {}
    for parameter in table:
        names = tuple(name for name in parameter.names if name in sent)
        values[parameter.name] = _read(parameter, {name: sent[name] for name in names})
        if names:
            given[parameter.name] = names
    known = {name for parameter in table for name in parameter.names}
    return Fields(values, given, tuple(name for name in sent if name not in known))


def _read(parameter: Parameter, sent: Mapping[str, object]) -> object:
    if not sent:
        if parameter.is_required:
            raise invalid.missing(parameter.name)
        return parameter.default
    read = {name: parameter.type.read(name, value) for name, value in sent.items()}
    first, *others = read
    for other in others:
        if read[other] != read[first]:
            raise invalid.conflict(parameter.name, first, other)
    return read[first]
