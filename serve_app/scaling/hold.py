"""The greatest number that was wanted lately: what is taken away slowly is not missed soon."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hold:
    """Numbers wanted in the last seconds, without those that a later one was not smaller than.

    Attributes:
        wanted: (time, number), the numbers falling.
    """

    wanted: tuple[tuple[float, int], ...] = ()

    def after(self, now: float, number: int, hold_s: float) -> "Hold":
        """Return what is held when a number is wanted now.

        Args:
            now: Not before the last call's.
            number: That is wanted.
            hold_s: How long a number counts after it was wanted last.
        """
        kept = tuple(
            (time, other) for time, other in self.wanted if other > number and time > now - hold_s
        )
        return Hold((*kept, (now, number)))

    @property
    def greatest(self) -> int:
        """The greatest of them; 0 if there are none."""
        return self.wanted[0][1] if self.wanted else 0
