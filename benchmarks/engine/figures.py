"""What came of a round of the loops, and the ratios of ours to the others."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from statistics import fmean, median

from rich.table import Table

from benchmarks.engine.courses import Course

MAX_BATCH = 8
OURS, BATCHES, ALONE = "ours", f"batches of {MAX_BATCH}, run to completion", "one at a time"
GOAL_RATE, GOAL_MEAN = 1.25, 0.5  # ours ÷ batches


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one loop and one round, or ratios of such.

    Attributes:
        rate: Pictures per second of those that are there at once, until the last is done.
        coming_rate: The same of those that come.
        mean_s: Of the latencies of those that come, in seconds from a picture's arrival.
        p95_s: The same, of which one in twenty takes longer.
    """

    rate: float
    coming_rate: float
    mean_s: float
    p95_s: float

    @classmethod
    def of(cls, at_once: Course, as_they_come: Course) -> "Figures":
        """Return the figures of a loop whose courses are over."""
        coming_s = sorted(as_they_come.latencies_s)
        p95_s = coming_s[int(0.95 * len(coming_s))]
        return cls(at_once.rate, as_they_come.rate, fmean(coming_s), p95_s)

    def over(self, other: "Figures") -> "Figures":
        """Return each figure as a multiple of the other's."""
        return Figures(*(a / b for a, b in zip(astuple(self), astuple(other), strict=True)))


Rounds = Mapping[str, Sequence[Figures]]  # by the loop's name


def medians(rounds: Rounds) -> dict[str, Figures]:
    """Return the median of each figure of each loop."""
    return {name: _median(of) for name, of in rounds.items()}


def ratios(rounds: Rounds) -> dict[str, Figures]:
    """Return the median of ours ÷ each loop's in the same round."""
    return {name: _median(_by_round(rounds, name)) for name in rounds}


def _by_round(rounds: Rounds, name: str) -> list[Figures]:
    return [ours.over(this) for ours, this in zip(rounds[OURS], rounds[name], strict=True)]


def _median(of: Sequence[Figures]) -> Figures:
    return Figures(*(median(getattr(one, field.name) for one in of) for field in fields(Figures)))


def table(rounds: Rounds) -> Table:
    """Return the table of all loops."""
    shown = Table(title="the same pictures, each loop (ours ÷ this)", title_justify="left")
    for heading in ("", "pictures/s", "... as they come", "mean latency", "p95 latency"):
        shown.add_column(heading, justify="right" if heading else "left")
    ratio_of = ratios(rounds)
    for name, of in medians(rounds).items():
        ratio = ratio_of[name]
        shown.add_row(
            name,
            f"{of.rate:.2f} ({ratio.rate:.2f})",
            f"{of.coming_rate:.2f} ({ratio.coming_rate:.2f})",
            f"{of.mean_s:.2f} s ({ratio.mean_s:.2f})",
            f"{of.p95_s:.2f} s ({ratio.p95_s:.2f})",
        )
    return shown


def goals(rounds: Rounds) -> str:
    """Return what was aimed at beside batches, what was reached, and in which rounds how far."""
    ratio, by_round = ratios(rounds)[BATCHES], _by_round(rounds, BATCHES)
    rates = ", ".join(f"{one.rate:.2f}" for one in by_round)
    means = ", ".join(f"{one.mean_s:.2f}" for one in by_round)
    return (
        f"ours ÷ {BATCHES}, and by round:\n"
        f"  pictures/s, all there at once: {ratio.rate:.2f} (goal >= {GOAL_RATE}): {rates}\n"
        f"  mean latency as they come: {ratio.mean_s:.2f} (goal <= {GOAL_MEAN}): {means}"
    )


def panels(of_each: Mapping[str, Figures]) -> dict[str, dict[str, float]]:
    """Return the panels of the picture by their titles: a figure of each loop."""
    return {
        "pictures/s, all there at once": {in_lines(name): of.rate for name, of in of_each.items()},
        "mean latency as they come, s": {in_lines(name): of.mean_s for name, of in of_each.items()},
        "p95 latency as they come, s": {in_lines(name): of.p95_s for name, of in of_each.items()},
    }


def in_lines(name: str) -> str:
    """Return a loop's name as it stands beside its bar."""
    return name.replace(", ", ",\n")
