"""The greatest number that was wanted lately: what is taken away slowly is not missed soon."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hold:
    """Numbers wanted in the last seconds, without those that a later one was not smaller than.

    Attributes:
        wanted: (time, number), the numbers falling.
    """

    wanted: tuple[tuple[float, int], ...] = ()

    def after(self, now: float, number: int, hold_s: float, hold_last_s: float = 0.0) -> "Hold":
        """Return what is held when a number is wanted now.

        Args:
            now: Not before the last call's.
            number: That is wanted.
            hold_s: How long a number counts after it was wanted last.
            hold_last_s: How long one is kept where none is wanted any more, if that is longer.
        """
        kept = tuple(
            (time, other) for time, other in self.wanted if other > number and time > now - hold_s
        )
        if number == 0 and not kept:
            kept = self._last_one(now - hold_last_s)
        return Hold((*kept, (now, number)))

    def _last_one(self, since: float) -> tuple[tuple[float, int], ...]:
        """Return one, if any was wanted lately."""
        times = [time for time, other in self.wanted if other > 0 and time > since]
        return ((max(times), 1),) if times else ()

    @property
    def greatest(self) -> int:
        """The greatest of them; 0 if there are none."""
        return self.wanted[0][1] if self.wanted else 0
