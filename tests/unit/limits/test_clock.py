"""Time goes forward, whatever the clock does."""

from serve_app.limits.clock import NS_PER_S, SteadyClock
from tests.unit.limits.simulation import HandClock


def test_it_begins_at_zero_and_follows() -> None:
    hand = HandClock(now_s=5000)
    clock = SteadyClock(hand)
    assert clock() == 0
    hand.now_s += 2.5
    assert clock() == 2.5 * NS_PER_S


def test_a_clock_that_is_set_back_stops_no_more_than_that_moment() -> None:
    hand = HandClock()
    clock = SteadyClock(hand)
    hand.now_s += 10
    before = clock()
    hand.now_s -= 3600
    assert clock() == before
    hand.now_s += 1
    assert clock() == before + NS_PER_S


def test_a_leap_forward_is_followed() -> None:
    hand = HandClock()
    clock = SteadyClock(hand)
    hand.now_s += 3600
    assert clock() == 3600 * NS_PER_S


def test_the_machines_own_clock_is_the_default() -> None:
    clock = SteadyClock()
    first, second = clock(), clock()
    assert 0 <= first <= second < NS_PER_S
