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
        sent_before_s: Predicted seconds of what was sent there between the report before and this
            one.
        sent_s: Of what was sent there since.
    """

    report: Report
    since: float
    sent_before_s: float = 0.0
    sent_s: float = 0.0

    @property
    def wait_s(self) -> float:
        """Predicted seconds that a picture would wait there."""
        return self.report.left_s + self.sent_before_s + self.sent_s

    def followed_by(self, report: Report, now: float) -> "_Standing":
        """Return the standing after one more report.

        That one was made before it came here, and may know nothing of what was sent a moment ago;
        the report after it, made a period later, does. A picture that counts twice for a period
        costs less than one that does not count: all would go where a report came just now.
        """
        is_next = report.number == self.report.number + 1
        return _Standing(report, now, self.sent_s if is_next else 0.0)


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
        if report is None:
            return
        if before is None:
            self._of[replica] = _Standing(report, now)
        elif before.report.number != report.number:
            self._of[replica] = before.followed_by(report, now)

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
            waits_s[replica] = standing.wait_s
        # Shuffled, for `sorted` keeps the order of equals: not all routers shall take the same.
        shuffled = random.sample(list(waits_s), len(waits_s))
        return sorted(shuffled, key=waits_s.__getitem__)
