"""Which denoiser would end a picture first: what each reported, and what was sent there since.

Pure Python: no Ray, no clock.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from serve_app.routing.report import Report


@dataclass(slots=True)
class _Standing:
    """One replica's.

    Attributes:
        report: The latest.
        since: When it came here, on the router's clock: that of another machine may differ.
        sent_s: Predicted seconds of what was sent there since.
    """

    report: Report
    since: float
    sent_s: float = 0.0


class Standings:
    """What one router knows of all replicas."""

    def __init__(self, stale_after_s: float) -> None:
        """Know nothing.

        Args:
            stale_after_s: Seconds after which a report says nothing any more.
        """
        self._stale_after_s = stale_after_s
        self._of: dict[str, _Standing] = {}

    def note(self, replica: str, report: Report | None, now: float) -> None:
        """Take in what a replica says now; the same report again is no news."""
        before = self._of.get(replica)
        if report is not None and (before is None or before.report.number != report.number):
            self._of[replica] = _Standing(report, now)

    def sent(self, replica: str, pixel_steps: float) -> None:
        """Count what was sent to a replica, in pixels times steps."""
        standing = self._of.get(replica)
        if standing is not None:
            standing.sent_s += pixel_steps * standing.report.s_per_pixel_step

    def order(self, replicas: Sequence[str], now: float) -> list[str] | None:
        """Return replicas, the one that would end a picture first at the front.

        None where something is unknown of one of them, or too old: who sends the picture must then
        go by something else.
        """
        standings = {replica: self._of.get(replica) for replica in replicas}
        self._of = {replica: self._of[replica] for replica in replicas if replica in self._of}
        waits_s: dict[str, float] = {}
        for replica, standing in standings.items():
            if standing is None or now - standing.since > self._stale_after_s:
                return None
            waits_s[replica] = standing.report.left_s + standing.sent_s
        # Shuffled, for `sorted` keeps the order of equals: not all routers shall take the same.
        shuffled = random.sample(list(waits_s), len(waits_s))
        return sorted(shuffled, key=waits_s.__getitem__)
