"""What a denoiser tells those who send it pictures, in the form in which Serve carries it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from serve_app.engine.outlook import NUM_BINS, Outlook
from serve_app.messages import Priority


@dataclass(frozen=True, slots=True)
class Report:
    """How long a picture would wait at a denoiser.

    Attributes:
        number: Of the report, one more than of the one before; another one says something new.
        outlook: On what it has.
        s_per_pixel_step: Predicted seconds for each pixel of a picture and each of its steps, at
            1024x1024.
        slo_factor: A picture is due after so many times the seconds that it takes alone.
    """

    number: int
    outlook: Outlook
    s_per_pixel_step: float
    slo_factor: float

    def as_stats(self) -> dict[str, Any]:
        """Return the report as Serve carries it."""
        return asdict(self) | {"outlook": self.outlook.seconds}

    @classmethod
    def read(cls, stats: Mapping[str, Any]) -> "Report | None":
        """Return the report that some statistics are; None where they are none."""
        try:
            return cls(
                int(stats["number"]),
                read_outlook(stats["outlook"]),
                float(stats["s_per_pixel_step"]),
                float(stats["slo_factor"]),
            )
        except (KeyError, TypeError, ValueError):
            return None


def read_outlook(seconds: Any) -> Outlook:
    """Return the outlook of so many seconds, by class and by when they are due.

    Raises:
        TypeError: They are no numbers.
        ValueError: They are not of so many classes and times.
    """
    outlook = Outlook(tuple(tuple(map(float, of_class)) for of_class in seconds))
    if [len(of_class) for of_class in outlook.seconds] != [NUM_BINS] * len(Priority):
        raise ValueError("an outlook of another shape")
    return outlook
