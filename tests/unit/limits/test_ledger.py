"""One ledger for all ingresses: keys apart, the dead forgotten, another's words not believed."""

import pytest

from serve_app.limits.clock import NS_PER_S
from serve_app.limits.ledger import Ledger
from serve_app.limits.meters import Meter
from serve_app.limits.protocol import Answer, Ask, Crowd, Need, Presence, Spend
from tests.unit.limits.simulation import HandClock, limits


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


def asked(
    ledger: Ledger,
    *num_images: int,
    key: str = "kr_a",
    ingress: str = "one",
    epoch: str | None = None,
    slots: tuple[str, ...] = (),
    spends: tuple[Spend, ...] = (),
) -> Answer:
    needs = tuple(Need(f"{ingress}-{index}", n) for index, n in enumerate(num_images))
    return ledger.answer(Ask(ingress, key, epoch, needs, slots, None, spends))


def num_admitted(answer: Answer) -> int:
    return answer.refusals.count(None)


def test_requests_are_decided_in_their_order() -> None:
    answer = asked(Ledger(limits(images=4)), 3, 2, 1, 1)
    assert [refusal is None for refusal in answer.refusals] == [True, False, True, False]
    assert answer.levels[Meter.IMAGES].free == 0


def test_one_key_takes_nothing_from_another() -> None:
    ledger = Ledger(limits(requests=3))
    assert num_admitted(asked(ledger, *[1] * 50, key="kr_greedy")) == 3
    assert num_admitted(asked(ledger, *[1] * 3, key="kr_modest")) == 3


def test_all_ingresses_draw_from_the_same_limit() -> None:
    ledger = Ledger(limits(requests=3))
    assert num_admitted(asked(ledger, 1, 1, ingress="one")) == 2
    assert num_admitted(asked(ledger, 1, 1, ingress="two")) == 1


def test_a_lease_comes_with_an_admission_and_not_with_a_refusal() -> None:
    ledger = Ledger(limits(requests=6000, images=6000))
    assert asked(ledger, 1).lease is not None
    assert asked(ledger).lease is None
    assert asked(ledger, 6001).lease is None


def test_what_was_meant_for_another_limiter_is_not_decided() -> None:
    ledger = Ledger(limits(requests=3))
    answer = asked(ledger, 1, 1, epoch="another")
    assert answer.is_forgotten
    assert answer.refusals == ()
    assert asked(ledger).levels[Meter.REQUESTS].free == 3
    assert num_admitted(asked(ledger, 1, epoch=answer.crowd.epoch)) == 1


def test_two_ledgers_are_two_epochs() -> None:
    first, second = Ledger(limits(requests=3)), Ledger(limits(requests=3))
    assert asked(first).crowd.epoch != asked(second).crowd.epoch


def test_what_an_ingress_admitted_alone_counts() -> None:
    ledger = Ledger(limits(requests=3))
    answer = asked(ledger, 1, 1, spends=(Spend(Meter.REQUESTS, 2, 60 * NS_PER_S),))
    assert num_admitted(answer) == 1


def test_requests_that_run_already_count_with_a_limiter_that_is_new() -> None:
    ledger = Ledger(limits(concurrent=2))
    assert num_admitted(asked(ledger, 1, slots=("old-1", "old-2"))) == 0
    ledger.release("kr_a", "old-1")
    assert num_admitted(asked(ledger, 1)) == 1


def test_a_slot_lives_while_it_is_renewed(clock: HandClock) -> None:
    ledger = Ledger(limits(concurrent=1), clock)
    assert num_admitted(asked(ledger, 1)) == 1
    for _ in range(10):
        clock.now_s += 5
        ledger.renew(Presence("one", {"kr_a": ("one-0",)}))
        assert num_admitted(asked(ledger, 1, ingress="two")) == 0
    clock.now_s += 10
    assert num_admitted(asked(ledger, 1, ingress="two")) == 1


def test_releasing_what_nobody_holds_does_nothing() -> None:
    ledger = Ledger(limits(concurrent=1))
    ledger.release("kr_unknown", "slot")
    assert ledger.num_keys == 0


def test_ingresses_are_counted_and_the_dead_are_not(clock: HandClock) -> None:
    ledger = Ledger(limits(requests=3), clock)
    for name in ("c", "a", "b"):
        ledger.renew(Presence(name, {}))
    crowd = ledger.renew(Presence("b", {}))
    assert (crowd.rank, crowd.num_ingresses) == (1, 3)
    clock.now_s += 10
    crowd = asked(ledger, ingress="b").crowd
    assert (crowd.rank, crowd.num_ingresses) == (0, 1)
    assert isinstance(crowd, Crowd)


def test_keys_that_come_and_go_leave_no_trace(clock: HandClock) -> None:
    ledger = Ledger(limits(requests=3, concurrent=3), clock)
    most = 0
    for index in range(3000):
        clock.now_s += 0.1
        asked(ledger, 1, key=f"kr_{index}")
        if index % 25 == 0:
            ledger.renew(Presence("one", {}))
        most = max(most, ledger.num_keys)
    assert most <= 650  # those of the last minute, and a few
    clock.now_s += 61
    ledger.renew(Presence("one", {}))
    assert ledger.num_keys == 0


@pytest.mark.parametrize("leap_s", [-3600, -60, -1])
def test_a_clock_that_is_set_back_gives_nothing_away_and_withholds_nothing(
    clock: HandClock, leap_s: int
) -> None:
    ledger = Ledger(limits(requests=3), clock)
    assert num_admitted(asked(ledger, 1, 1, 1, 1)) == 3
    clock.now_s += leap_s
    assert num_admitted(asked(ledger, 1)) == 0
    clock.now_s += 61
    assert num_admitted(asked(ledger, 1, 1, 1, 1)) == 3


def test_a_clock_that_leaps_forward_gives_one_limit_more_at_most(clock: HandClock) -> None:
    ledger = Ledger(limits(requests=3), clock)
    num_in_all = 0
    for leap_s in (0, 3600, 0, 0):
        clock.now_s += leap_s
        num_in_all += num_admitted(asked(ledger, 1, 1, 1, 1))
    assert num_in_all == 6
