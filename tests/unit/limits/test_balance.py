"""No minute sees more than the limit, and what is refused takes nothing."""

import random

import pytest

from serve_app.limits.balance import Balance
from serve_app.limits.clock import NS_PER_S
from serve_app.limits.meters import WINDOW_NS, Meter
from serve_app.limits.protocol import LEASE_NS, SLOT_TTL_NS, UNKNOWN_WAIT_NS, Need, Spend
from serve_app.limits.rolling_sum import TICK_NS
from tests.unit.limits.simulation import limits


def taken(balance: Balance, num_requests: int, now_ns: int, num_images: int = 1) -> int:
    """Return how many of some requests were admitted."""
    needs = [Need(f"{now_ns}-{index}", num_images) for index in range(num_requests)]
    return [balance.take(need, now_ns) for need in needs].count(None)


def free(balance: Balance, meter: Meter, now_ns: int = 0) -> int:
    return balance.levels(now_ns)[meter].free


def test_a_whole_minutes_worth_may_go_at_once_and_comes_back_after_it() -> None:
    balance = Balance(limits(requests=60))
    assert taken(balance, 100, 0) == 60
    assert taken(balance, 100, WINDOW_NS - 1) == 0
    assert taken(balance, 100, WINDOW_NS) == 60


@pytest.mark.parametrize("limit", [1, 7, 60, 300])
def test_no_minute_sees_more_than_the_limit(limit: int) -> None:
    balance, drawn = Balance(limits(requests=limit)), random.Random(limit)
    admitted: list[int] = []
    now_ns = 0
    while now_ns < 5 * WINDOW_NS:
        now_ns += drawn.choice([0, NS_PER_S // 100, NS_PER_S // 2])
        admitted += [now_ns] * taken(balance, drawn.choice([1, 1, 1, limit]), now_ns)
    # Whatever was admitted `limit` places later came at least a minute later.
    pairs = zip(admitted, admitted[limit:], strict=False)
    assert min(later - earlier for earlier, later in pairs) >= WINDOW_NS
    assert len(admitted) >= 4 * limit


def test_a_request_that_is_refused_takes_nothing() -> None:
    balance = Balance(limits(requests=10, images=4, concurrent=5))
    assert taken(balance, 1, 0, num_images=3) == 1
    assert taken(balance, 5, 0, num_images=2) == 0
    assert free(balance, Meter.REQUESTS) == 9
    assert free(balance, Meter.IMAGES) == 1
    assert free(balance, Meter.CONCURRENT_REQUESTS) == 4
    assert taken(balance, 1, 0, num_images=1) == 1


def test_a_refusal_says_when_there_will_be_enough() -> None:
    balance = Balance(limits(images=4))
    taken(balance, 1, 0, num_images=3)
    taken(balance, 1, 10 * NS_PER_S, num_images=1)
    now_ns = 20 * NS_PER_S
    refusal = balance.take(Need("a", 4), now_ns)
    assert refusal is not None
    assert (refusal.meter, refusal.amount) == (Meter.IMAGES, 4)
    assert refusal.retry_after_ns == 50 * NS_PER_S
    assert balance.take(Need("a", 4), now_ns + refusal.retry_after_ns - 1) is not None
    assert balance.take(Need("a", 4), now_ns + refusal.retry_after_ns) is None


def test_of_several_limits_the_one_that_takes_longest_is_named() -> None:
    balance = Balance(limits(requests=1, concurrent=1))
    taken(balance, 1, 0)
    refusal = balance.take(Need("b", 1), 0)
    assert refusal is not None
    assert refusal.meter is Meter.REQUESTS
    refusal = balance.take(Need("b", 1), WINDOW_NS - NS_PER_S)
    assert refusal is not None
    assert refusal.meter is Meter.REQUESTS
    balance.slots.renew(["a"], WINDOW_NS)
    refusal = balance.take(Need("b", 1), WINDOW_NS)
    assert refusal is not None
    assert refusal.meter is Meter.CONCURRENT_REQUESTS
    assert refusal.retry_after_ns == UNKNOWN_WAIT_NS


def test_a_slot_that_nobody_renews_is_free_again() -> None:
    balance = Balance(limits(concurrent=2))
    assert taken(balance, 5, 0) == 2
    assert taken(balance, 5, SLOT_TTL_NS - 1) == 0
    assert taken(balance, 5, SLOT_TTL_NS) == 2


def test_with_what_was_admitted_a_lease_is_a_quarter_of_a_second_of_the_limit() -> None:
    balance = Balance(limits(requests=6000, images=12_000))
    need = Need("a", 4)
    balance.take(need, 0)
    lease = balance.lend([need], 0)
    assert lease is not None
    assert lease.amounts == {Meter.REQUESTS: 24, Meter.IMAGES: 46}
    assert lease.returns_at_ns == LEASE_NS + WINDOW_NS
    assert free(balance, Meter.REQUESTS) == 6000 - 25
    assert balance.lend([need] * 12, 0) is not None
    assert balance.lend([need] * 13, 0) is None


@pytest.mark.parametrize(
    "allowed",
    [limits(requests=60), limits(requests=6000, images=60), limits(requests=6000, concurrent=50)],
    ids=["too low", "one of two too low", "slots have to be asked for"],
)
def test_a_lease_that_helps_nobody_is_not_given(allowed: dict[Meter, int]) -> None:
    balance = Balance(allowed)
    assert balance.lend((), 0) is None
    assert free(balance, Meter.REQUESTS) == allowed[Meter.REQUESTS]


def test_the_second_half_is_kept_for_requests_that_are_there() -> None:
    balance = Balance(limits(requests=6000))
    taken(balance, 2999, 0)
    assert balance.lend((), 0) is not None
    assert balance.lend((), 0) is None
    assert taken(balance, 6000, 0) == 6000 - 2999 - 25


def test_what_is_put_back_can_be_lent_again_and_only_once() -> None:
    balance = Balance(limits(requests=6000))
    lease = balance.lend((), 0)
    assert lease is not None
    balance.put_back(lease)
    assert free(balance, Meter.REQUESTS) == 6000
    balance.put_back(lease)
    assert free(balance, Meter.REQUESTS) == 6000


def test_a_lease_that_never_comes_back_is_free_a_minute_after_its_end() -> None:
    balance = Balance(limits(requests=6000))
    lease = balance.lend((), 0)
    assert lease is not None
    assert free(balance, Meter.REQUESTS, lease.returns_at_ns - 1) == 5975
    assert free(balance, Meter.REQUESTS, lease.returns_at_ns) == 6000


def test_what_was_spent_unasked_counts_until_its_own_time() -> None:
    balance = Balance(limits(requests=10))
    balance.note([Spend(Meter.REQUESTS, 4, 30 * NS_PER_S)], 0)
    assert free(balance, Meter.REQUESTS) == 6
    assert free(balance, Meter.REQUESTS, 30 * NS_PER_S) == 10


def test_a_level_is_never_negative() -> None:
    balance = Balance(limits(requests=10, concurrent=2))
    balance.note([Spend(Meter.REQUESTS, 25, WINDOW_NS)], 0)
    balance.slots.renew("abcde", 0)
    levels = balance.levels(0)
    assert levels[Meter.REQUESTS].free == 0
    assert levels[Meter.CONCURRENT_REQUESTS].free == 0
    assert taken(balance, 1, 0) == 0


def test_a_level_says_when_it_will_be_full() -> None:
    balance = Balance(limits(requests=10, concurrent=2))
    assert balance.levels(0)[Meter.REQUESTS].full_in_ns == 0
    taken(balance, 1, 0)
    taken(balance, 1, 20 * TICK_NS)
    levels = balance.levels(30 * TICK_NS)
    assert levels[Meter.REQUESTS].full_in_ns == WINDOW_NS - 10 * TICK_NS
    assert levels[Meter.CONCURRENT_REQUESTS].full_in_ns is None


def test_it_is_untouched_again_when_all_has_come_back() -> None:
    balance = Balance(limits(requests=10, concurrent=2))
    assert balance.is_untouched(0)
    taken(balance, 1, 0)
    assert not balance.is_untouched(SLOT_TTL_NS)
    assert balance.is_untouched(WINDOW_NS)
    balance.slots.renew(["a"], WINDOW_NS)
    assert not balance.is_untouched(WINDOW_NS)
