"""Whether those that were accepted still end in time if one more is.

Pure Python: no torch, no clock, no thread.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import fsum, inf

from serve_app.messages import Priority

PRUDENCE = 2.0  # so many mean errors: of normal ones, one in twenty errs that far to one side
MAX_ERROR = 0.5  # that is believed: one picture that took very long says little of the next


@dataclass(frozen=True, slots=True)
class Commitment:
    """A job that is to end in time.

    Attributes:
        priority: Its class: all of a higher one goes before it.
        due_at: Those of its class that are due before go before it; infinite: it is late, and all
            go before it that are not.
        must_end_at: After that it is of no use.
        load_s: Predicted seconds that it adds to what others wait for.
        left_s: Predicted, if it ran alone from now on.
    """

    priority: Priority
    due_at: float
    must_end_at: float
    load_s: float
    left_s: float


def must_wait_s(
    newcomer: Commitment, accepted: Sequence[Commitment], now: float, error: float
) -> float:
    """Return how long a newcomer has to stay out for those that were accepted; 0: it need not.

    A job ends in time if it does in the order in which all are due, or if all there is ends before
    it must, in whatever order: one that gets late is overtaken. A newcomer has to stay out where
    neither is sure for itself, or would be for another of its class that could still make it if it
    ran alone; of those that are no longer than itself, for under too much work the shorter ones go
    first.

    Args:
        newcomer: That is not here yet.
        accepted: Those that are.
        now: On the engine's clock, in seconds.
        error: Of predictions, their recent mean |predicted - measured| / measured. It is sure what
            holds though the work of others takes `PRUDENCE` times that longer than predicted.
    """
    use = [each for each in accepted if now + each.left_s <= each.must_end_at]
    line = sorted(
        (each for each in use if each.priority == newcomer.priority), key=lambda each: each.due_at
    )
    higher_s = fsum(each.load_s for each in use if each.priority < newcomer.priority)
    due_at = [each.due_at for each in line]
    until_s = list(accumulate((each.load_s for each in line), initial=higher_s))
    all_s = until_s[-1] + newcomer.load_s
    longer = 1 + PRUDENCE * min(error, MAX_ERROR)

    def is_sure(each: Commitment) -> bool:
        """Whether one ends as promised if the newcomer is accepted."""
        before_s = until_s[bisect_right(due_at, each.due_at)]
        before_s += newcomer.load_s if newcomer.due_at <= each.due_at else 0.0
        is_in_order = now + _prudent_s(before_s, each, longer) <= each.due_at < inf
        return is_in_order or now + _prudent_s(all_s, each, longer) <= each.must_end_at

    shorter = (each for each in line if each.left_s <= newcomer.left_s)
    return 0.0 if is_sure(newcomer) and all(map(is_sure, shorter)) else until_s[-1]


def _prudent_s(work_s: float, own: Commitment, longer: float) -> float:
    """Return the seconds of some work, if all of it takes longer but one's own, which may be alone.

    Who shares no step with others has all of what each step costs to bear.
    """
    return longer * (work_s - own.load_s) + own.left_s
