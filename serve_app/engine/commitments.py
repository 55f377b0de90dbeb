"""Whether those that were accepted still end in time if one more is.

Pure Python: no torch, no clock, no thread.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import fsum, inf

from serve_app.messages import Priority


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


def must_wait_s(newcomer: Commitment, accepted: Sequence[Commitment], now: float) -> float:
    """Return how long a newcomer has to stay out for those that were accepted; 0: it need not.

    A job ends in time for certain if it does in the order in which all are due, or if all there is
    ends before it must, in whatever order: one that gets late is overtaken. A newcomer has to stay
    out where neither holds for itself, or would hold any more for another of its class; of those
    that are no longer than itself, for under too much work the shorter ones go first.
    """
    use = [each for each in accepted if now + each.left_s <= each.must_end_at]
    line = sorted(
        (each for each in use if each.priority == newcomer.priority), key=lambda each: each.due_at
    )
    higher_s = fsum(each.load_s for each in use if each.priority < newcomer.priority)
    due_at = [each.due_at for each in line]
    until_s = list(accumulate((each.load_s for each in line), initial=higher_s))
    all_s = until_s[-1]

    def spare_s(each: Commitment, own_s: float) -> float:
        """Return how much earlier than promised one ends, with so much more to do."""
        ahead_s = until_s[bisect_right(due_at, each.due_at)]
        before_s = own_s if newcomer.due_at <= each.due_at else 0.0
        in_order_s = each.due_at - now - ahead_s - before_s if each.due_at < inf else -inf
        return max(in_order_s, each.must_end_at - now - all_s - own_s)

    shorter = [each for each in line if each.left_s <= newcomer.left_s]
    is_lost = any(spare_s(each, 0.0) >= 0 > spare_s(each, newcomer.load_s) for each in shorter)
    return all_s if is_lost or spare_s(newcomer, newcomer.load_s) < 0 else 0.0
