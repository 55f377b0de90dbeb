"""In which order waiting jobs of one class start, and which of them may interrupt a running one.

Pure Python: no torch, no clock, no thread.
"""

from typing import Literal, Protocol

from serve_app.engine.cost_model import CostModel
from serve_app.engine.work import Work


class Policy(Protocol):
    """Compares jobs of one class and of tenants with equal service.

    Attributes:
        lets_overtake: Whether one may start while another waits that came before it. If not, none
            waits for ever.
        keeps_deadlines: Whether it goes by deadlines.
    """

    lets_overtake: bool
    keeps_deadlines: bool

    def rank(self, work: Work, now: float) -> tuple[float, float]:
        """Return what waiting jobs are sorted by, the first to start lowest."""

    def rank_holds_until(self, work: Work, now: float) -> float:
        """Return the time at which its rank changes though it only waits."""

    def may_interrupt(self, newcomer: Work, running: Work, now: float) -> bool:
        """Whether the newcomer may take a running job's place in the next step.

        Only if it would also be sorted before it.
        """

    def kept_deadline(self, work: Work, ends_at: float) -> float:
        """Return the deadline that a job keeps if it ends then, which others shall not spoil."""

    def due_at(self, work: Work, now: float) -> float:
        """Return before which deadline a job that comes goes before this one, as far as is known.

        Where that does not go by deadlines: never.
        """


NEVER = float("inf")


class Fcfs:
    """First come, first served; what runs runs to its end, but for a higher class."""

    lets_overtake = False
    keeps_deadlines = False

    def rank(self, work: Work, now: float) -> tuple[float, float]:
        """Return when it came."""
        return (work.arrived_at, 0.0)

    def rank_holds_until(self, work: Work, now: float) -> float:
        """Return never: who came first stays so."""
        return NEVER

    def may_interrupt(self, newcomer: Work, running: Work, now: float) -> bool:
        """Return False."""
        return False

    def kept_deadline(self, work: Work, ends_at: float) -> float:
        """Return never: deadlines do not matter."""
        return NEVER

    def due_at(self, work: Work, now: float) -> float:
        """Return what is before every deadline."""
        return -NEVER


class Srpt:
    """Shortest remaining processing time first: the least mean latency, no regard for deadlines."""

    lets_overtake = True
    keeps_deadlines = False

    def __init__(self, cost_model: CostModel) -> None:
        self._remaining_s = cost_model.remaining_s

    def rank(self, work: Work, now: float) -> tuple[float, float]:
        """Return what is left of it."""
        return (self._remaining_s(work), work.arrived_at)

    def rank_holds_until(self, work: Work, now: float) -> float:
        """Return never: what waits does not become less."""
        return NEVER

    def may_interrupt(self, newcomer: Work, running: Work, now: float) -> bool:
        """Whether less is left of the newcomer."""
        return self._remaining_s(newcomer) < self._remaining_s(running)

    def kept_deadline(self, work: Work, ends_at: float) -> float:
        """Return never: deadlines do not matter."""
        return NEVER

    def due_at(self, work: Work, now: float) -> float:
        """Return what is before every deadline."""
        return -NEVER


class EarliestDeadline:
    """Earliest deadline first among those that can still make it, then the shortest of the rest.

    Of the rest, those go first that are still of use when they are done. A job is interrupted only
    by one that is due before it, and only if both still make theirs; one that is late already gives
    way to who is not.
    """

    lets_overtake = True
    keeps_deadlines = True

    def __init__(self, cost_model: CostModel) -> None:
        self._remaining_s = cost_model.remaining_s

    def rank(self, work: Work, now: float) -> tuple[float, float]:
        """Return its deadline, or what is left of it once that cannot be met."""
        remaining_s = self._remaining_s(work)
        if now + remaining_s <= work.deadline_at:
            return (0.0, work.deadline_at)
        return (1.0 if now + remaining_s <= work.must_end_at else 2.0, remaining_s)

    def rank_holds_until(self, work: Work, now: float) -> float:
        """Return when it must start to meet its deadline, if that is still to come."""
        remaining_s = self._remaining_s(work)
        return self.kept_deadline(work, now + remaining_s) - remaining_s

    def may_interrupt(self, newcomer: Work, running: Work, now: float) -> bool:
        """Whether the newcomer is due first and makes it, and the running job's is not lost."""
        newcomer_s, running_s = self._remaining_s(newcomer), self._remaining_s(running)
        if now + running_s > running.deadline_at:
            return self.rank(newcomer, now) < self.rank(running, now)
        is_newcomer_in_time = now + newcomer_s <= newcomer.deadline_at
        both_end_at = now + newcomer_s + running_s
        is_due_first = newcomer.deadline_at < running.deadline_at
        return is_newcomer_in_time and is_due_first and both_end_at <= running.deadline_at

    def kept_deadline(self, work: Work, ends_at: float) -> float:
        """Return its deadline, or that after which it is of no use if only that is kept."""
        if ends_at <= work.deadline_at:
            return work.deadline_at
        return work.must_end_at if ends_at <= work.must_end_at else NEVER

    def due_at(self, work: Work, now: float) -> float:
        """Return its deadline; a late one lets all go first that are not."""
        is_late = now + self._remaining_s(work) > work.deadline_at
        return NEVER if is_late else work.deadline_at


def policy_named(name: Literal["deadline", "srpt", "fcfs"], cost_model: CostModel) -> Policy:
    """Return the policy of a configuration."""
    match name:
        case "deadline":
            return EarliestDeadline(cost_model)
        case "srpt":
            return Srpt(cost_model)
        case "fcfs":
            return Fcfs()
