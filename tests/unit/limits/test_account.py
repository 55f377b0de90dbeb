"""What an ingress decides without asking, and what it tells a Limiter that knows nothing."""

from serve_app.limits.account import Account
from serve_app.limits.clock import NS_PER_S
from serve_app.limits.ledger import Ledger
from serve_app.limits.meters import WINDOW_NS, Amounts, Meter
from serve_app.limits.protocol import LEASE_NS, Answer, Crowd, Need
from tests.unit.limits.simulation import HandClock, limits

HIGH = limits(requests=6000)


class Pair:
    """An account and the ledger that it asks, without a network between them."""

    def __init__(self, allowed: Amounts) -> None:
        self.allowed = allowed
        self.ledger = Ledger(allowed, HandClock())
        self.account = Account("kr_a", allowed)

    def exchange(self, *num_images: int, now_ns: int = 0) -> Answer:
        needs = tuple(Need(f"s{index}", n) for index, n in enumerate(num_images))
        ask = self.account.ask("one", needs, now_ns)
        answer = self.ledger.answer(ask)
        if answer.is_forgotten:
            self.account.take_back(ask, now_ns)
        else:
            self.account.learn(ask, answer, now_ns)
        return answer


def test_a_lease_admits_until_it_is_spent() -> None:
    pair = Pair(HIGH)
    assert not pair.account.spend_lease(Need("a", 1), 0)
    pair.exchange(1)
    admitted = [pair.account.spend_lease(Need("a", 1), 0) for _ in range(30)]
    assert admitted == [True] * 24 + [False] * 6


def test_a_lease_ends_with_its_time() -> None:
    pair = Pair(HIGH)
    pair.exchange(1)
    assert pair.account.spend_lease(Need("a", 1), LEASE_NS - 1)
    assert not pair.account.spend_lease(Need("a", 1), LEASE_NS)


def test_a_lease_has_to_be_enough_in_every_meter() -> None:
    pair = Pair(limits(requests=6000, images=1440))
    pair.exchange(1)
    assert pair.account.spend_lease(Need("a", 3), 0)
    assert not pair.account.spend_lease(Need("b", 3), 0)
    assert pair.account.spend_lease(Need("c", 2), 0)


def test_what_is_left_goes_back_with_the_next_question() -> None:
    pair = Pair(HIGH)
    pair.exchange(1)
    for _ in range(5):
        pair.account.spend_lease(Need("a", 1), 0)
    assert not pair.account.has_unspent(LEASE_NS - 1)
    assert pair.account.has_unspent(LEASE_NS)
    answer = pair.exchange(now_ns=LEASE_NS)
    assert answer.levels[Meter.REQUESTS].free == 6000 - 6
    assert not pair.account.has_unspent(LEASE_NS)


def test_a_refusal_stands_for_a_moment_for_as_much_or_more() -> None:
    pair = Pair(limits(images=4))
    pair.exchange(2)
    pair.exchange(3)
    refusal = pair.account.standing_refusal(Need("a", 3), LEASE_NS // 2)
    assert refusal is not None
    assert refusal.retry_after_ns == WINDOW_NS - LEASE_NS // 2
    assert pair.account.standing_refusal(Need("a", 4), 0) is not None
    assert pair.account.standing_refusal(Need("a", 2), 0) is None
    assert pair.account.standing_refusal(Need("a", 3), LEASE_NS) is None


def test_a_request_that_ends_makes_room_at_once() -> None:
    pair = Pair(limits(concurrent=1))
    pair.exchange(1, 1)
    assert pair.account.slots == {"s0"}
    assert pair.account.standing_refusal(Need("a", 1), 0) is not None
    pair.account.release("s0")
    assert pair.account.standing_refusal(Need("a", 1), 0) is None


def test_alone_it_keeps_to_its_share() -> None:
    account, half = Account("kr_a", limits(requests=10)), Crowd("e", 0, 2)
    decided = [account.decide_alone(Need("a", 1), half, 0) for _ in range(8)]
    assert [refusal is None for refusal in decided] == [True] * 5 + [False] * 3
    assert account.decide_alone(Need("a", 1), half, WINDOW_NS) is None


def test_alone_it_counts_what_it_admitted_before() -> None:
    pair = Pair(limits(requests=10))
    pair.exchange(1, 1, 1, 1)
    half = Crowd("e", 0, 2)
    decided = [pair.account.decide_alone(Need("a", 1), half, 0) for _ in range(3)]
    assert [refusal is None for refusal in decided] == [True, False, False]


def test_alone_it_counts_what_runs() -> None:
    account, half = Account("kr_a", limits(concurrent=4)), Crowd("e", 1, 2)
    assert [account.decide_alone(Need(slot, 1), half, 0) for slot in "ab"] == [None, None]
    refusal = account.decide_alone(Need("c", 1), half, 0)
    assert refusal is not None
    assert refusal.meter is Meter.CONCURRENT_REQUESTS
    account.release("a")
    assert account.decide_alone(Need("c", 1), half, 0) is None


def test_what_was_admitted_alone_is_told_once() -> None:
    pair = Pair(limits(requests=10))
    pair.exchange(1)
    for slot in "ab":
        pair.account.decide_alone(Need(slot, 1), Crowd(), 0)
    answer = pair.exchange()
    assert answer.levels[Meter.REQUESTS].free == 7
    assert pair.exchange().levels[Meter.REQUESTS].free == 7
    assert not pair.account.is_unreported(answer.crowd.epoch, 0)


def test_what_was_told_and_not_heard_is_told_again() -> None:
    pair = Pair(limits(requests=10))
    pair.account.decide_alone(Need("a", 1), Crowd(), 0)
    pair.account.take_back(pair.account.ask("one", (), 0), 0)
    assert pair.exchange().levels[Meter.REQUESTS].free == 9


def test_a_new_limiter_is_told_everything() -> None:
    pair = Pair(limits(requests=10))
    epoch = pair.exchange(1, 1, 1).crowd.epoch
    pair.account.decide_alone(Need("a", 1), Crowd(), 0)
    pair.ledger = Ledger(pair.allowed, HandClock())
    answer = pair.exchange(1)
    assert answer.is_forgotten
    assert pair.account.is_unreported(answer.crowd.epoch, 0)
    pair.account.start_over(0)
    answer = pair.exchange(1)
    assert answer.crowd.epoch != epoch
    assert answer.levels[Meter.REQUESTS].free == 10 - 3 - 1 - 1


def test_levels_count_the_lease_and_the_time_that_passed() -> None:
    pair = Pair(HIGH)
    pair.exchange(1)
    pair.account.spend_lease(Need("a", 1), 0)
    level = pair.account.levels(NS_PER_S // 5)[Meter.REQUESTS]
    assert (level.limit, level.free) == (6000, 5998)
    assert level.full_in_ns == WINDOW_NS + LEASE_NS - NS_PER_S // 5
    later = pair.account.levels(90 * NS_PER_S)[Meter.REQUESTS]
    assert later.full_in_ns == 0


def test_levels_alone_are_those_of_the_share() -> None:
    account = Account("kr_a", limits(requests=10, concurrent=2))
    account.decide_alone(Need("a", 1), Crowd("e", 0, 2), 0)
    levels = account.levels(0)
    assert (levels[Meter.REQUESTS].limit, levels[Meter.REQUESTS].free) == (10, 4)
    assert levels[Meter.REQUESTS].full_in_ns == WINDOW_NS
    assert levels[Meter.CONCURRENT_REQUESTS].free == 0


def test_it_is_idle_when_nothing_runs_and_all_has_come_back() -> None:
    account = Account("kr_a", limits(requests=10, concurrent=2))
    assert account.is_idle(0)
    account.decide_alone(Need("a", 1), Crowd(), 0)
    assert not account.is_idle(WINDOW_NS)
    account.release("a")
    assert not account.is_idle(WINDOW_NS - 1)
    assert account.is_idle(WINDOW_NS)
