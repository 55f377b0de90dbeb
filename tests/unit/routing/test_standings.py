"""A picture goes where least work is, as far as that is known."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.routing.report import Report
from serve_app.routing.standings import Standings


def standings(*left_s: float) -> Standings:
    made = Standings(stale_after_s=5.0)
    for index, left in enumerate(left_s):
        made.note(f"r{index}", Report(1, left, 0.01), now=0.0)
    return made


def names(count: int) -> list[str]:
    return [f"r{index}" for index in range(count)]


def test_the_least_work_comes_first() -> None:
    assert standings(3.0, 1.0, 2.0).order(names(3), now=1.0) == ["r1", "r2", "r0"]


def test_what_was_sent_counts_until_the_report_after_the_next() -> None:
    made = standings(1.0, 2.0)
    made.sent("r0", pixel_steps=500.0)
    assert made.order(names(2), now=1.0) == ["r1", "r0"]
    made.note("r0", Report(1, 1.0, 0.01), now=2.0)
    assert made.order(names(2), now=2.0) == ["r1", "r0"]
    # Made before the picture was there, it came after that was sent.
    made.note("r0", Report(2, 1.0, 0.01), now=3.0)
    assert made.order(names(2), now=3.0) == ["r1", "r0"]
    made.note("r0", Report(3, 1.5, 0.01), now=3.5)
    assert made.order(names(2), now=3.5) == ["r0", "r1"]


def test_of_two_periods_the_later_one_still_counts() -> None:
    made = standings(0.0, 4.0)
    made.sent("r0", pixel_steps=900.0)
    made.note("r0", Report(2, 0.0, 0.01), now=0.5)
    made.sent("r0", pixel_steps=300.0)
    made.note("r0", Report(3, 0.0, 0.01), now=1.0)
    assert made.order(names(2), now=1.0) == ["r0", "r1"]
    made.sent("r0", pixel_steps=200.0)
    assert made.order(names(2), now=1.0) == ["r1", "r0"]


def test_a_report_after_one_that_was_not_looked_at_knows_of_all() -> None:
    made = standings(1.0, 2.0)
    made.sent("r0", pixel_steps=500.0)
    made.note("r0", Report(3, 1.5, 0.01), now=1.0)
    assert made.order(names(2), now=1.0) == ["r0", "r1"]


def test_a_burst_is_spread_though_a_report_comes_in_the_middle() -> None:
    made = standings(0.0, 0.0)
    sent = dict.fromkeys(names(2), 0)
    for number in range(20):
        if number == 10:
            made.note("r0", Report(2, 0.0, 0.01), now=0.5)
        (first, _) = made.order(names(2), now=0.5) or ("", "")
        made.sent(first, 100.0)
        sent[first] += 1
    assert sent == {"r0": 10, "r1": 10}


def test_a_burst_is_spread_by_its_work() -> None:
    made = standings(0.0, 0.0, 0.0)
    sent = dict.fromkeys(names(3), 0.0)
    for work in (900.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0):
        order = made.order(names(3), now=1.0)
        assert order is not None
        made.sent(order[0], work)
        sent[order[0]] += work
    assert sorted(sent.values()) == [300.0, 400.0, 900.0]


@pytest.mark.parametrize("now", [5.1, 100.0])
def test_an_old_report_says_nothing(now: float) -> None:
    made = standings(1.0, 2.0)
    made.note("r1", Report(2, 2.0, 0.01), now=now)
    assert made.order(names(2), now=now) is None
    made.note("r0", Report(2, 1.0, 0.01), now=now)
    assert made.order(names(2), now=now) == ["r0", "r1"]


def test_of_a_replica_without_a_report_nothing_is_known() -> None:
    made = standings(1.0)
    made.note("r1", None, now=0.0)
    made.sent("r1", 1.0)
    assert made.order(names(2), now=0.0) is None
    assert made.order(names(1), now=0.0) == ["r0"]


def test_equals_come_in_any_order() -> None:
    made = standings(1.0, 1.0)
    first = {tuple(made.order(names(2), now=0.0) or ()) for _ in range(100)}
    assert first == {("r0", "r1"), ("r1", "r0")}


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=20))
def test_everybody_is_there_once_in_order(left_s: list[float]) -> None:
    order = standings(*left_s).order(names(len(left_s)), now=0.0)
    assert order is not None
    assert sorted(order) == sorted(names(len(left_s)))
    found = [left_s[int(name[1:])] for name in order]
    assert found == sorted(left_s)


@given(st.floats(0, 1e6), st.floats(0, 1), st.integers(0, 10**9))
def test_a_report_survives_serve(left_s: float, s_per_pixel_step: float, number: int) -> None:
    report = Report(number, left_s, s_per_pixel_step)
    assert Report.read(report.numbers()) == report


@pytest.mark.parametrize("numbers", [{}, {"number": 1}, {"number": "x", "left_s": 0}])
def test_what_is_no_report_is_none(numbers: dict[str, object]) -> None:
    assert Report.read(numbers) is None
