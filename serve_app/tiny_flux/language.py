"""The drawing language: what a picture can show, and how a caption says it.

A plain sentence names one shape and its colour on a solid background, and may name a size
and a place: "a large red circle on the left on a blue background". What it leaves out has a
default (medium, centre), so every plain sentence describes exactly one scene.
"""

import hashlib
import random
import re
from dataclasses import astuple, dataclass
from itertools import product

COLORS: dict[str, tuple[int, int, int]] = {
    "red": (210, 30, 40),
    "green": (35, 155, 70),
    "blue": (40, 80, 215),
    "yellow": (250, 220, 50),
    "white": (248, 248, 248),
    "black": (16, 16, 16),
    "orange": (245, 130, 20),
    "purple": (130, 50, 170),
}
# Words that mean the same; the first is the plainest, and is repeated to come up most often.
SHAPE_WORDS: dict[str, tuple[str, ...]] = {
    "circle": ("circle", "circle", "disc"),
    "square": ("square",),
    "triangle": ("triangle",),
    "cross": ("cross", "cross", "plus"),
}
SIZE_WORDS: dict[str, tuple[str, ...]] = {
    "small": ("small", "small", "tiny", "little"),
    "medium": ("",),
    "large": ("large", "large", "big", "huge"),
}
POSITION_WORDS: dict[str, tuple[str, ...]] = {
    "center": ("", "", "", "in the center", "in the centre", "in the middle"),
    "left": ("on the left",),
    "right": ("on the right",),
    "top": ("at the top",),
    "bottom": ("at the bottom",),
}
BACKGROUND_PHRASES: tuple[str, ...] = (
    "on {article} {color} background",
    "on {article} {color} background",
    "on {article} {color} background",
    "on {color}",
    "against {article} {color} background",
)
HELD_OUT_SHARE = 0.06


@dataclass(frozen=True, slots=True)
class Scene:
    """One shape on a solid background.

    Attributes:
        background: A key of COLORS, never the shape's own.
        color: The shape's colour, a key of COLORS.
        shape: A key of SHAPE_WORDS.
        size: A key of SIZE_WORDS.
        position: A key of POSITION_WORDS.
    """

    background: str
    color: str
    shape: str
    size: str = "medium"
    position: str = "center"


def all_scenes() -> list[Scene]:
    """Return every scene of the language, in a fixed order."""
    attributes = product(COLORS, COLORS, SHAPE_WORDS, SIZE_WORDS, POSITION_WORDS)
    return [Scene(*values) for values in attributes if values[0] != values[1]]


def is_held_out(scene: Scene) -> bool:
    """Whether training never sees this combination of attributes: a fixed few of a hundred."""
    digest = hashlib.sha256("/".join(astuple(scene)).encode()).digest()
    return int.from_bytes(digest[:4], "big") < HELD_OUT_SHARE * 2**32


def caption(scene: Scene, rng: random.Random) -> str:
    """Return one of the plain sentences that describe the scene."""
    words = [
        rng.choice(SIZE_WORDS[scene.size]),
        scene.color,
        rng.choice(SHAPE_WORDS[scene.shape]),
    ]
    thing = " ".join(word for word in words if word)
    background = rng.choice(BACKGROUND_PHRASES).format(
        article=_article(scene.background), color=scene.background
    )
    parts = [_article(thing), thing, rng.choice(POSITION_WORDS[scene.position]), background]
    if rng.random() < 0.1:
        parts[0] = ""
    sentence = " ".join(part for part in parts if part)
    if rng.random() < 0.3:
        sentence = sentence[0].upper() + sentence[1:]
    return sentence + "." if rng.random() < 0.2 else sentence


def parse_caption(text: str) -> Scene | None:
    """Return the scene that a plain sentence describes, or None for any other text."""
    match = _SENTENCE.fullmatch(text.strip().lower())
    if match is None or match["color"] == match["background"]:
        return None
    return Scene(
        background=match["background"],
        color=match["color"],
        shape=_meaning(SHAPE_WORDS, match["shape"]),
        size=_meaning(SIZE_WORDS, match["size"] or ""),
        position=_meaning(POSITION_WORDS, match["position"] or ""),
    )


def _article(phrase: str) -> str:
    return "an" if phrase[0] in "aeiou" else "a"


def _meaning(words: dict[str, tuple[str, ...]], word: str) -> str:
    return next(key for key, synonyms in words.items() if word in synonyms)


def _any_of(words: dict[str, tuple[str, ...]]) -> str:
    return "|".join(sorted({word for group in words.values() for word in group if word}))


_SENTENCE = re.compile(
    rf"(?:an? )?(?:(?P<size>{_any_of(SIZE_WORDS)}) )?(?P<color>{'|'.join(COLORS)}) "
    rf"(?P<shape>{_any_of(SHAPE_WORDS)})(?: (?P<position>{_any_of(POSITION_WORDS)}))? "
    rf"(?:on|against)(?: an?)? (?P<background>{'|'.join(COLORS)})(?: background)?\.?"
)
