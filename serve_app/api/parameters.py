"""The one table of what a client may send, in every dialect."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Literal

from serve_app.api.input_images.field import ImageField
from serve_app.api.values.kinds import Anything, Choice, Flag, Integer, Number, Text, ValueType
from serve_app.api.values.loras import Loras
from serve_app.api.values.model_names import ALL_NAMES
from serve_app.api.values.size_grammar import (
    AspectRatio,
    ImageSize,
    Megapixels,
    PixelsOrRatio,
    Resolution,
    Side,
)
from serve_app.config import ApiConfig
from serve_app.messages import NUM_SEEDS, Priority

Behaviour = Literal["passthrough", "renamed", "converted", "emulated", "ignored"]
Dialect = Literal["openai", "lumenfall", "fal", "replicate"]

MAX_PROMPT_CHARACTERS = 32000
MAX_NAME_CHARACTERS = 1000

# OpenAI's names, and what they are here; `auto` is what the key has.
SERVICE_TIERS: Mapping[str, Priority | None] = MappingProxyType(
    {
        "auto": None,
        "default": Priority.STANDARD,
        "flex": Priority.BATCH,
        "priority": Priority.INTERACTIVE,
    }
)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One thing a client can say.

    Attributes:
        name: The canonical one.
        type: How its JSON value is read.
        behaviour: `passthrough` (the model's own), `renamed`, `converted`, `emulated` (done by this
            server) or `ignored` (accepted, without effect), in Lumenfall's words.
        description: One sentence, for the documents.
        default: When it is not given.
        dialect: Whose word the canonical name is.
        aliases: Other names of the same thing, and whose they are; with different values they
            contradict each other.
        is_required: Whether it must be given.
        also_in: Other dialects that have the same word. What OpenAI has, Lumenfall has too.
    """

    name: str
    type: ValueType
    behaviour: Behaviour
    description: str
    default: object = None
    dialect: Dialect = "lumenfall"
    aliases: Mapping[str, Dialect] = field(default_factory=lambda: MappingProxyType({}))
    is_required: bool = False
    also_in: tuple[Dialect, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Every name a client may use, the canonical one first."""
        return (self.name, *self.aliases)

    def names_in(self, dialect: Dialect) -> tuple[str, ...]:
        """Return the names that a dialect has for it."""
        mine = {dialect, "openai"} if dialect == "lumenfall" else {dialect}
        canonical = [self.name] if mine & {self.dialect, *self.also_in} else []
        return (*canonical, *(name for name, whose in self.aliases.items() if whose in mine))


SUBJECT = (
    Parameter(
        "prompt",
        Text(MAX_PROMPT_CHARACTERS, is_blank_allowed=False),
        "renamed",
        "What the picture shows.",
        dialect="openai",
        is_required=True,
        also_in=("fal", "replicate"),
    ),
    Parameter(
        "model",
        Choice(ALL_NAMES, is_any_case=True),
        "renamed",
        "Any name of the served model; it is the default.",
        dialect="openai",
    ),
    Parameter(
        "seed",
        Integer(0, NUM_SEEDS - 1),
        "passthrough",
        "Of the first picture; picture i has seed + i. Drawn, and reported, if it is not given.",
        also_in=("fal", "replicate"),
    ),
    Parameter(
        "safety_identifier",
        Text(MAX_NAME_CHARACTERS),
        "passthrough",
        "The client's name for its own user; repeated in the answer.",
        dialect="openai",
    ),
    Parameter(
        "user",
        Text(MAX_NAME_CHARACTERS),
        "passthrough",
        "As safety_identifier, which outranks it.",
        dialect="openai",
    ),
)

DENOISING = (
    Parameter(
        "cfg_scale",
        Number(0, 20),
        "renamed",
        "The guidance value that FLUX.1 Krea [dev] was distilled with.",
        4.5,
        aliases={"guidance_scale": "fal", "guidance": "replicate"},
    ),
    Parameter(
        "num_inference_steps",
        Integer(1, 50),
        "passthrough",
        "Transformer evaluations of a picture.",
        28,
        aliases={"steps": "lumenfall"},
        also_in=("fal", "replicate"),
    ),
    Parameter(
        "strength",
        Number(0, 1),
        "renamed",
        "How much of the input image is lost: 0 keeps it as it is.",
        0.95,
        aliases={"prompt_strength": "replicate"},
        also_in=("fal",),
    ),
    Parameter(
        "service_tier",
        Choice(tuple(SERVICE_TIERS)),
        "converted",
        "How soon: priority is the interactive class, default the standard one, flex the batch one;"
        " auto is the key's own.",
        "auto",
        dialect="openai",
    ),
    Parameter(
        "acceleration",
        Choice(("none", "regular", "high")),
        "converted",
        "How much exactness may be given up for speed: with regular and high, steps that would add"
        " little new are not computed to their end. By default none.",
        dialect="fal",
    ),
    Parameter(
        "loras",
        Loras(),
        "passthrough",
        "Adapters by their names in this server's catalogue, and how strongly each is to work.",
        dialect="fal",
    ),
    Parameter(
        "go_fast",
        Flag(),
        "converted",
        "Whether a transformer in 8 bits may make the pictures; where none is loaded, the exact one"
        " does.",
        dialect="replicate",
    ),
    Parameter(
        "enable_safety_checker",
        Flag(),
        "converted",
        "Whether pictures are checked before they are delivered; no checker is loaded yet.",
        dialect="fal",
    ),
    Parameter(
        "disable_safety_checker",
        Flag(),
        "converted",
        "The opposite of enable_safety_checker.",
        dialect="replicate",
    ),
)

DELIVERY = (
    Parameter(
        "output_format",
        Choice(("png", "jpeg", "gif", "webp", "avif"), synonyms={"jpg": "jpeg"}, is_any_case=True),
        "emulated",
        "Of the file.",
        "png",
        dialect="openai",
        also_in=("fal", "replicate"),
    ),
    Parameter(
        "output_compression",
        Integer(0, 100),
        "emulated",
        "Quality of a jpeg, webp or avif file, 100 is best; png and gif have none.",
        100,
        dialect="openai",
        aliases={"output_quality": "replicate"},
    ),
    Parameter(
        "response_format",
        Choice(("url", "b64_json")),
        "emulated",
        "Whether the answer holds the files, or links to them.",
        "url",
        dialect="openai",
    ),
    Parameter(
        "sync_mode",
        Flag(),
        "emulated",
        "Makes links data URIs, and keeps nothing for download.",
        False,
        dialect="fal",
    ),
    Parameter(
        "stream",
        Flag(),
        "emulated",
        "Whether the answer is server-sent events.",
        False,
        dialect="openai",
    ),
    Parameter(
        "partial_images",
        Integer(0, 3),
        "emulated",
        "Unfinished pictures to send on the way, with stream.",
        0,
        dialect="openai",
    ),
)

INPUT_IMAGES = (
    Parameter(
        "image",
        ImageField("image"),
        "renamed",
        "The picture to edit: a file, a URL or a data URI; PNG, JPEG or WebP.",
        dialect="openai",
        aliases={"image[]": "openai", "images": "openai", "image_url": "fal"},
        also_in=("replicate",),
    ),
    Parameter(
        "mask",
        ImageField("mask"),
        "converted",
        "What is edited: the transparent part or, without transparency, the white one.",
        dialect="openai",
        aliases={"mask_image": "replicate", "mask_url": "fal"},
    ),
)

_WITHOUT_EFFECT: Mapping[str, Dialect] = {
    "quality": "openai",
    "style": "openai",
    "background": "openai",
    "moderation": "openai",
    "input_fidelity": "openai",
    "negative_prompt": "lumenfall",
}
WITHOUT_EFFECT = tuple(
    Parameter(name, Anything(), "ignored", "Accepted and ignored.", dialect=dialect)
    for name, dialect in _WITHOUT_EFFECT.items()
)


@cache
def image_parameters(config: ApiConfig) -> tuple[Parameter, ...]:
    """Return the table, with the limits of one configuration."""
    number = Parameter(
        "n",
        Integer(1, config.max_images),
        "emulated",
        "How many pictures.",
        1,
        dialect="openai",
        aliases={"num_images": "fal", "num_outputs": "replicate"},
    )
    sizes = _size_parameters(config.max_side_px)
    return (*SUBJECT, number, *sizes, *DENOISING, *DELIVERY, *INPUT_IMAGES, *WITHOUT_EFFECT)


def _size_parameters(max_side_px: int) -> tuple[Parameter, ...]:
    return (
        Parameter(
            "size",
            PixelsOrRatio(max_side_px),
            "converted",
            "WIDTHxHEIGHT is exact pixels, W:H a shape; it outranks every other size.",
            dialect="openai",
        ),
        Parameter(
            "aspect_ratio",
            AspectRatio(),
            "converted",
            "W:H, the nearest the model has.",
            also_in=("replicate",),
        ),
        Parameter("resolution", Resolution(), "converted", "A tier; this model has 1K."),
        Parameter(
            "megapixels", Megapixels(), "converted", "The area of a shape.", dialect="replicate"
        ),
        Parameter(
            "image_size",
            ImageSize(max_side_px),
            "converted",
            "A preset, or exact pixels.",
            dialect="fal",
        ),
        Parameter("width", Side(max_side_px), "converted", "Exact pixels, with height."),
        Parameter("height", Side(max_side_px), "converted", "Exact pixels, with width."),
    )
