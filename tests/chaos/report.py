"""What clients saw: each answer judged by its contents, and the figures of all of them."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

# What was wrong with an answer that was not of ours: a page of the proxy, instead of JSON.
PAGE = "a page"
MAX_GAP_S = 3.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request, and how it went.

    Attributes:
        began_at: On the monotonic clock, in seconds.
        ended_at: The same.
        failure: What was wrong with the answer; None when nothing was.
        request_id: `req_…`, of an answer that has one, also of an error.
        cost_usd: As the answer says.
        status: Of the answer; 0 when there was none.
    """

    began_at: float
    ended_at: float
    failure: str | None
    request_id: str | None = None
    cost_usd: float | None = None
    status: int = 0

    @property
    def is_refused(self) -> bool:
        """Whether the answer was an error."""
        return self.status >= 400

    @property
    def took_s(self) -> float:
        """How long the client waited."""
        return self.ended_at - self.began_at

    def was_in_flight(self, moment: float) -> bool:
        """Whether it had begun and not ended."""
        return self.began_at <= moment <= self.ended_at


@dataclass(frozen=True, slots=True)
class Order:
    """What a client wants: one picture, with as many attempts as it takes.

    Attributes:
        name: `x-session-id` of all its attempts, by which the history knows them.
        attempts: In order; the last one decides.
    """

    name: str
    attempts: tuple[Attempt, ...]

    @property
    def last(self) -> Attempt:
        """What the client was left with."""
        return self.attempts[-1]


@dataclass(frozen=True, slots=True)
class Report:
    """All orders of a load.

    Attributes:
        began_at: Of the load, on the monotonic clock.
        ended_at: The same.
        orders: In the order of their ends.
    """

    began_at: float
    ended_at: float
    orders: tuple[Order, ...]

    @property
    def fulfilled(self) -> list[Order]:
        """The orders whose picture came."""
        return [order for order in self.orders if order.last.failure is None]

    @property
    def failed(self) -> list[Order]:
        """The orders whose picture did not come."""
        return [order for order in self.orders if order.last.failure is not None]

    @property
    def failures(self) -> Counter[str]:
        """How often which failure was a client's last word."""
        return Counter(order.last.failure for order in self.orders if order.last.failure)

    @property
    def attempts(self) -> list[Attempt]:
        """Every request, those that were tried again included."""
        return [attempt for order in self.orders for attempt in order.attempts]

    @property
    def num_pages(self) -> int:
        """How many answers were pages of the proxy."""
        return sum(attempt.failure == PAGE for attempt in self.attempts)

    @property
    def success_ratio(self) -> float:
        """The part of the orders that was fulfilled."""
        return len(self.fulfilled) / len(self.orders)

    @property
    def answers_per_s(self) -> float:
        """Good answers per second, from the beginning to the end."""
        return len(self.fulfilled) / (self.ended_at - self.began_at)

    @property
    def longest_gap_s(self) -> float:
        """The longest time without any good answer, the beginning and the end included."""
        ends = [order.last.ended_at for order in self.fulfilled]
        return max(b - a for a, b in pairwise([self.began_at, *sorted(ends), self.ended_at]))

    @property
    def allowed_gap_s(self) -> float:
        """The gap that a fault may leave: of answers that a busy machine makes slow, three."""
        return max(MAX_GAP_S, 3 * self.latency_s(0.5))

    @property
    def longest_wait_s(self) -> float:
        """The longest time that any attempt took, whatever its answer."""
        return max(attempt.took_s for attempt in self.attempts)

    def latency_s(self, share: float) -> float:
        """Return the time within which a share of the good answers came."""
        return quantile((order.last.took_s for order in self.fulfilled), share)

    def line(self) -> str:
        """Return the figures in one line."""
        tried_again = sum(len(order.attempts) > 1 for order in self.orders)
        return (
            f"{len(self.failed)} failed, {len(self.fulfilled)} ok, {tried_again} tried again, "
            f"longest gap {self.longest_gap_s:.1f} s, "
            f"p50 {self.latency_s(0.5):.2f} s, p99 {self.latency_s(0.99):.2f} s, "
            f"longest wait {self.longest_wait_s:.1f} s"
            + (f", {dict(self.failures)}" if self.failures else "")
        )


def quantile(values: Iterable[float], share: float) -> float:
    """Return the value that a share of them does not exceed; of none, not a number."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan
