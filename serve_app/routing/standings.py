"""Which denoiser would end a picture first: what each reported, and what was sent there since.

A denoiser sorts its pictures by deadlines, so what counts is not how much it has, but how much of
that goes before this picture.

Pure Python: no Ray, no clock.
"""

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import inf

from serve_app.messages import Priority
from serve_app.routing.report import Report


@dataclass(frozen=True, slots=True)
class Asked:
    """What of a picture counts for where it is sent.

    Attributes:
        priority: Its class.
        pixel_steps: Its pixels times its steps; 0: it denoises nothing.
        ends_in_s: Seconds until its request is over.
    """

    priority: Priority = Priority.STANDARD
    pixel_steps: float = 0.0
    ends_in_s: float = inf

    def takes_s(self, report: Report) -> float:
        """Return its predicted seconds, alone."""
        return self.pixel_steps * report.s_per_pixel_step

    def due_in_s(self, report: Report) -> float:
        """Return in how many seconds it would be due."""
        return min(report.slo_factor * self.takes_s(report), self.ends_in_s)


@dataclass(frozen=True, slots=True)
class _Sent:
    """A picture that a replica may not have reported yet.

    Attributes:
        priority: Its class.
        due_at: On the router's clock.
        seconds: Predicted, alone.
        ends_at: Predicted, behind what went before it when it was sent.
    """

    priority: Priority
    due_at: float
    seconds: float
    ends_at: float


@dataclass(frozen=True, slots=True)
class _Standing:
    """One replica's.

    Attributes:
        report: The latest.
        since: When it came here, on the router's clock: that of another machine may differ.
        sent_before: What was sent there between the report before and this one.
        sent: What was sent there since; grows.
    """

    report: Report
    since: float
    sent_before: Sequence[_Sent]
    sent: list[_Sent]

    def note_sent(self, asked: Asked, now: float) -> None:
        """Count one more."""
        takes_s, (wait_s, _) = asked.takes_s(self.report), self.wait_s(asked, now)
        due_at = now + asked.due_in_s(self.report)
        self.sent.append(_Sent(asked.priority, due_at, takes_s, now + wait_s + takes_s))

    def wait_s(self, asked: Asked, now: float) -> tuple[float, float]:
        """Return the predicted seconds of what goes before a picture, and of all there is.

        Where none waits for it the second tells which is better for those to come.
        """
        due_in_s = asked.due_in_s(self.report)
        outlook, place = self.report.outlook, (asked.priority, now + due_in_s)
        ahead_s, all_s = outlook.ahead_s(asked.priority, due_in_s), outlook.all_s
        for sent in (*self.sent_before, *self.sent):
            if sent.ends_at <= now:
                continue
            all_s += sent.seconds
            if (sent.priority, sent.due_at) <= place:
                ahead_s += sent.seconds
        return ahead_s, all_s

    def followed_by(self, report: Report, now: float) -> "_Standing":
        """Return the standing after one more report.

        That one was made before it came here, and may know nothing of what was sent a moment ago;
        the report after it, made a period later, does. A picture that counts twice for a period
        costs less than one that does not count: all would go where a report came just now.
        """
        is_next = report.number == self.report.number + 1
        return _Standing(report, now, self.sent if is_next else (), [])


class Standings:
    """What one router knows of all replicas."""

    def __init__(self, stale_after_s: float, rng: random.Random | None = None) -> None:
        """Know nothing.

        Args:
            stale_after_s: Seconds after which a report says nothing any more.
            rng: Draws the order of equals; None: one of its own.
        """
        self._stale_after_s = stale_after_s
        self._rng = rng or random.Random()  # noqa: S311 - no secret
        self._of: dict[str, _Standing] = {}

    def note(self, replica: str, report: Report | None, now: float) -> None:
        """Take in what a replica says now; the same report again is no news."""
        before = self._of.get(replica)
        if report is None:
            return
        if before is None:
            self._of[replica] = _Standing(report, now, (), [])
        elif before.report.number != report.number:
            self._of[replica] = before.followed_by(report, now)

    def keep(self, replicas: Collection[str]) -> None:
        """Forget all others."""
        self._of = {name: standing for name, standing in self._of.items() if name in replicas}

    def sent(self, replica: str, asked: Asked, now: float) -> None:
        """Count what was sent to a replica."""
        standing = self._of.get(replica)
        if standing is not None:
            standing.note_sent(asked, now)

    def order(self, replicas: Sequence[str], asked: Asked, now: float) -> list[str] | None:
        """Return replicas, the one that would end a picture first at the front.

        None where something is unknown of one of them, or too old: who sends the picture must then
        go by something else.
        """
        standings = {replica: self._of.get(replica) for replica in replicas}
        waits_s: dict[str, tuple[float, float]] = {}
        for replica, standing in standings.items():
            if standing is None or now - standing.since > self._stale_after_s:
                return None
            waits_s[replica] = standing.wait_s(asked, now)
        # Shuffled, for `sorted` keeps the order of equals: not all routers shall take the same.
        shuffled = self._rng.sample(list(waits_s), len(waits_s))
        return sorted(shuffled, key=waits_s.__getitem__)
