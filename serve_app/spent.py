"""What a picture's time went into; it rides in every message of a chain, as the last is read."""

from __future__ import annotations

import math
import operator
from dataclasses import asdict, astuple, dataclass, replace


@dataclass(frozen=True, slots=True)
class Spent:
    """What a picture's time went into, in seconds, as each replica measured its own part.

    Attributes:
        queue_s: Waiting within replicas: for a stage's one thread, for a turn between steps.
        encode_s: The prompt.
        encode_image_s: The picture that is changed.
        denoise_s: The steps it took part in.
        decode_s: From latents to pixels.
        write_s: Cutting, marking, compressing.
        store_s: Until the image store had it.
    """

    queue_s: float = 0.0
    encode_s: float = 0.0
    encode_image_s: float = 0.0
    denoise_s: float = 0.0
    decode_s: float = 0.0
    write_s: float = 0.0
    store_s: float = 0.0

    def __add__(self, later: Spent) -> Spent:
        """Return both, one after the other."""
        return Spent(*map(operator.add, astuple(self), astuple(later)))

    def beside(self, other: Spent) -> Spent:
        """Return both, side by side: who waits for two waits for the longer."""
        both = self + other
        return replace(both, queue_s=max(self.queue_s, other.queue_s))

    @property
    def total_s(self) -> float:
        """All of it."""
        return math.fsum(astuple(self))

    @property
    def milliseconds(self) -> dict[str, float]:
        """What took time at all, by the stages' names, to a tenth of a millisecond."""
        return {
            name.removesuffix("_s"): round(seconds * 1000, 1)
            for name, seconds in asdict(self).items()
            if seconds
        }


NO_TIME = Spent()
