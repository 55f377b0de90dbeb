"""The lines of a benchmark's table, and the table."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from benchmarks.turns import Measured

HEADINGS = (
    "part",
    "pixels",
    "how",
    "median ms",
    "fastest ms",
    "bound ms",
    "÷ bound",
    "GiB",
    "SM MHz",
)
GIB = 2**30


@dataclass(frozen=True, slots=True)
class Row:
    """One line.

    Attributes:
        part: Of the model.
        pixels: Of the picture or the pictures; empty where there is none.
        how: The way it was run.
        measured: None where there is nothing to time, or too little memory.
        bound_s: What it takes at the least; None where nobody said how fast the device is.
        held_bytes: Of weights; the peak of what was measured stands in its place.
    """

    part: str
    pixels: str
    how: str
    measured: Measured | None = None
    bound_s: float | None = None
    held_bytes: int | None = None


def markdown(rows: Iterable[Row]) -> str:
    """Return the rows as a table in Markdown."""
    lines = [HEADINGS, ("---",) * 3 + ("---:",) * 6, *(tuple(_cells(row)) for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def _cells(row: Row) -> Iterator[str]:
    yield from (row.part, row.pixels, row.how)
    measured, bound_s = row.measured, row.bound_s
    num_bytes = row.held_bytes if measured is None else measured.peak_bytes
    if measured is None:
        yield from ("-", "-")
    else:
        yield from (_ms(measured.median_s), _ms(min(measured.times_s)))
    yield "-" if bound_s is None else _ms(bound_s)
    yield "-" if bound_s is None or measured is None else f"{measured.median_s / bound_s:.2f}"
    yield "-" if num_bytes is None else f"{num_bytes / GIB:.2f}"
    yield "-" if measured is None or measured.sm_mhz is None else str(measured.sm_mhz)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.2f}"
