"""From how many tokens on a step makes nearly as many per second as the machine ever will.

Below that its seconds are those of starting it: either they come on top of the tokens' own, or
they hide those, as where a GPU waits for the next kernel to be launched. So what was measured is
fitted by `max(floor, overhead + s_per_token * tokens)`.

Pure Python: no torch, no clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

SATURATED = 0.95  # of the tokens per second that ever larger steps come near to
GROWN = 1.8  # times the seconds of half as many tokens: what a larger step takes, it takes for them


@dataclass(frozen=True, slots=True)
class Step:
    """One size that was measured.

    Attributes:
        num_tokens: In the step.
        seconds: That it took.
    """

    num_tokens: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Curve:
    """Seconds of a step by its tokens.

    Attributes:
        floor_s: Below which no step is.
        overhead_s: Of the line.
        s_per_token: Of the line, over 0.
    """

    floor_s: float
    overhead_s: float
    s_per_token: float

    def seconds(self, num_tokens: int) -> float:
        """Return what a step takes."""
        return max(self.floor_s, self.overhead_s + self.s_per_token * num_tokens)

    @property
    def saturated_at(self) -> float:
        """The tokens of which the tokens per second are `SATURATED` of the most there can be."""
        on_line = SATURATED / (1 - SATURATED) * self.overhead_s / self.s_per_token
        on_floor = SATURATED * self.floor_s / self.s_per_token
        return max(on_line, on_floor)


def shows_plateau(steps: Sequence[Step]) -> bool:
    """Whether the last sizes, each twice the one before, are far above where starting counts."""
    ratios = [later.seconds / one.seconds for one, later in pairwise(steps)]
    return len(ratios) >= 3 and min(ratios[-2:]) >= GROWN


def fitted(steps: Sequence[Step]) -> Curve:
    """Return the curve that is nearest to what was measured, relatively.

    Args:
        steps: Of growing size, two or more.
    """
    # One size alone is no floor: any line with one more point would fit as well.
    numbers = [number for number in range(len(steps) - 1) if number != 1]
    curves = [_curve(steps[:number], steps[number:]) for number in numbers]
    return min(curves, key=lambda curve: _error(curve, steps))


def _curve(on_floor: Sequence[Step], on_line: Sequence[Step]) -> Curve:
    floor_s = fmean(step.seconds for step in on_floor) if on_floor else 0.0
    overhead_s, s_per_token = _line(on_line)
    return Curve(floor_s, overhead_s, s_per_token)


def _line(steps: Sequence[Step]) -> tuple[float, float]:
    """Return start and slope of the line with the least squares of relative errors."""
    weights = [step.seconds**-2 for step in steps]
    total = sum(weights)
    x = sum(w * step.num_tokens for w, step in zip(weights, steps, strict=True)) / total
    y = sum(w * step.seconds for w, step in zip(weights, steps, strict=True)) / total
    xx = sum(w * (step.num_tokens - x) ** 2 for w, step in zip(weights, steps, strict=True))
    xy = sum(
        w * (step.num_tokens - x) * (step.seconds - y)
        for w, step in zip(weights, steps, strict=True)
    )
    slope = xy / xx
    if not 0 < slope <= y / x:
        return 0.0, y / x  # noise: no step costs less than nothing
    return y - slope * x, slope


def _error(curve: Curve, steps: Sequence[Step]) -> float:
    return sum((curve.seconds(step.num_tokens) / step.seconds - 1) ** 2 for step in steps)
