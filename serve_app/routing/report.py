"""What a denoiser tells those who send it pictures, as the numbers that Serve carries."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Report:
    """How long a picture would wait at a denoiser.

    Attributes:
        number: Of the report, one more than of the one before; another one says something new.
        left_s: Predicted seconds of what it has.
        s_per_pixel_step: Predicted seconds for each pixel of a picture and each of its steps, at
            1024x1024.
    """

    number: int
    left_s: float
    s_per_pixel_step: float

    def numbers(self) -> dict[str, float]:
        """Return the report as Serve carries it."""
        return asdict(self)

    @classmethod
    def read(cls, numbers: Mapping[str, Any]) -> "Report | None":
        """Return the report that some numbers are; None where they are none."""
        try:
            return cls(
                int(numbers["number"]),
                float(numbers["left_s"]),
                float(numbers["s_per_pixel_step"]),
            )
        except (KeyError, TypeError, ValueError):
            return None
