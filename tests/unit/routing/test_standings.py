"""A picture goes where least work is, as far as that is known."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.engine.outlook import DUE_WITHIN_S, Load, Outlook
from serve_app.messages import Priority
from serve_app.routing.report import Report
from serve_app.routing.standings import Asked, Standings

# Due so late that all others go before it.
ANY = Asked(pixel_steps=1e9)


def report(number: int, left_s: float, due_in_s: float = 0.0) -> Report:
    outlook = Outlook.of([Load(Priority.STANDARD, due_in_s, left_s)])
    return Report(number, outlook, s_per_pixel_step=0.01, slo_factor=3.0)


def asked(pixel_steps: float) -> Asked:
    return Asked(pixel_steps=pixel_steps)


def standings(*left_s: float) -> Standings:
    made = Standings(stale_after_s=5.0)
    for index, left in enumerate(left_s):
        made.note(f"r{index}", report(1, left), now=0.0)
    return made


def names(count: int) -> list[str]:
    return [f"r{index}" for index in range(count)]


def test_the_least_work_comes_first() -> None:
    assert standings(3.0, 1.0, 2.0).order(names(3), ANY, now=1.0) == ["r1", "r2", "r0"]


def test_what_was_sent_counts_until_the_report_after_the_next() -> None:
    made = standings(1.0, 2.0)
    made.sent("r0", asked(500.0), now=0.0)
    assert made.order(names(2), ANY, now=1.0) == ["r1", "r0"]
    made.note("r0", report(1, 1.0), now=2.0)
    assert made.order(names(2), ANY, now=2.0) == ["r1", "r0"]
    # Made before the picture was there, it came after that was sent.
    made.note("r0", report(2, 1.0), now=3.0)
    assert made.order(names(2), ANY, now=3.0) == ["r1", "r0"]
    made.note("r0", report(3, 1.5), now=3.5)
    assert made.order(names(2), ANY, now=3.5) == ["r0", "r1"]


def test_of_two_periods_the_later_one_still_counts() -> None:
    made = standings(0.0, 4.0)
    made.sent("r0", asked(900.0), now=0.0)
    made.note("r0", report(2, 0.0), now=0.5)
    made.sent("r0", asked(300.0), now=0.0)
    made.note("r0", report(3, 0.0), now=1.0)
    assert made.order(names(2), ANY, now=1.0) == ["r0", "r1"]
    made.sent("r0", asked(200.0), now=0.0)
    assert made.order(names(2), ANY, now=1.0) == ["r1", "r0"]


def test_a_report_after_one_that_was_not_looked_at_knows_of_all() -> None:
    made = standings(1.0, 2.0)
    made.sent("r0", asked(500.0), now=0.0)
    made.note("r0", report(3, 1.5), now=1.0)
    assert made.order(names(2), ANY, now=1.0) == ["r0", "r1"]


def test_a_burst_is_spread_though_a_report_comes_in_the_middle() -> None:
    made = standings(0.0, 0.0)
    sent = dict.fromkeys(names(2), 0)
    for number in range(20):
        if number == 10:
            made.note("r0", report(2, 0.0), now=0.5)
        (first, _) = made.order(names(2), ANY, now=0.5) or ("", "")
        made.sent(first, asked(100.0), now=0.0)
        sent[first] += 1
    assert sent == {"r0": 10, "r1": 10}


def test_a_burst_is_spread_by_its_work() -> None:
    made = standings(0.0, 0.0, 0.0)
    sent = dict.fromkeys(names(3), 0.0)
    for work in (900.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0):
        order = made.order(names(3), ANY, now=1.0)
        assert order is not None
        made.sent(order[0], asked(work), now=0.0)
        sent[order[0]] += work
    assert sorted(sent.values()) == [300.0, 400.0, 900.0]


@pytest.mark.parametrize("now", [5.1, 100.0])
def test_an_old_report_says_nothing(now: float) -> None:
    made = standings(1.0, 2.0)
    made.note("r1", report(2, 2.0), now=now)
    assert made.order(names(2), ANY, now=now) is None
    made.note("r0", report(2, 1.0), now=now)
    assert made.order(names(2), ANY, now=now) == ["r0", "r1"]


def test_of_a_replica_without_a_report_nothing_is_known() -> None:
    made = standings(1.0)
    made.note("r1", None, now=0.0)
    made.sent("r1", asked(1.0), now=0.0)
    assert made.order(names(2), ANY, now=0.0) is None
    assert made.order(names(1), ANY, now=0.0) == ["r0"]


def test_equals_come_in_any_order() -> None:
    made = standings(1.0, 1.0)
    first = {tuple(made.order(names(2), ANY, now=0.0) or ()) for _ in range(100)}
    assert first == {("r0", "r1"), ("r1", "r0")}


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=20))
def test_everybody_is_there_once_in_order(left_s: list[float]) -> None:
    order = standings(*left_s).order(names(len(left_s)), ANY, now=0.0)
    assert order is not None
    assert sorted(order) == sorted(names(len(left_s)))
    found = [left_s[int(name[1:])] for name in order]
    assert found == sorted(left_s)


def test_work_that_is_due_later_does_not_count() -> None:
    made = standings()
    made.note("r0", report(1, 50.0, due_in_s=200.0), now=0.0)
    made.note("r1", report(1, 5.0, due_in_s=2.0), now=0.0)
    # Due after 3 s and after 300 s.
    assert made.order(names(2), asked(100.0), now=0.0) == ["r0", "r1"]
    assert made.order(names(2), asked(10_000.0), now=0.0) == ["r1", "r0"]


def test_of_what_was_sent_only_counts_what_goes_before() -> None:
    made = standings(0.0, 2.0)
    made.sent("r0", asked(10_000.0), now=0.0)
    assert made.order(names(2), asked(100.0), now=0.0) == ["r0", "r1"]
    made.sent("r0", Asked(Priority.INTERACTIVE, 10_000.0), now=0.0)
    assert made.order(names(2), asked(100.0), now=0.0) == ["r1", "r0"]
    higher = Asked(Priority.INTERACTIVE, 100.0)
    assert made.order(names(2), higher, now=0.0) == ["r1", "r0"]


def test_what_was_sent_counts_until_it_must_be_done() -> None:
    made = standings(3.0, 5.0)
    made.sent("r0", asked(400.0), now=0.0)
    assert made.order(names(2), ANY, now=6.9) is None
    for name, left_s in (("r0", 3.0), ("r1", 5.0)):
        made.note(name, report(2, left_s), now=4.0)
    # Of four seconds, behind three.
    assert made.order(names(2), ANY, now=6.9) == ["r1", "r0"]
    assert made.order(names(2), ANY, now=7.1) == ["r0", "r1"]


def test_where_nobody_goes_before_it_goes_to_who_has_less() -> None:
    made = standings()
    made.note("r0", report(1, 50.0, due_in_s=200.0), now=0.0)
    made.note("r1", report(1, 40.0, due_in_s=200.0), now=0.0)
    assert made.order(names(2), asked(100.0), now=0.0) == ["r1", "r0"]


def test_a_request_that_is_over_soon_is_due_then() -> None:
    hurried = Asked(pixel_steps=10_000.0, ends_in_s=1.0)
    assert hurried.due_in_s(report(1, 0.0)) == 1.0
    assert asked(10_000.0).due_in_s(report(1, 0.0)) == 300.0


OUTLOOKS = st.lists(
    st.builds(Load, st.sampled_from(Priority), st.sampled_from(DUE_WITHIN_S), st.floats(0, 1e6))
).map(Outlook.of)


@given(OUTLOOKS, st.floats(0, 1), st.integers(0, 10**9))
def test_a_report_survives_serve(outlook: Outlook, s_per_pixel_step: float, number: int) -> None:
    made = Report(number, outlook, s_per_pixel_step, 3.0)
    assert Report.read(made.as_stats()) == made


@pytest.mark.parametrize(
    "stats",
    [
        {},
        {"number": 1},
        report(1, 0.0).as_stats() | {"number": "x"},
        report(1, 0.0).as_stats() | {"outlook": ((0.0,), (0.0,), (0.0,))},
        report(1, 0.0).as_stats() | {"outlook": 3},
        report(1, 0.0).as_stats() | {"outlook": "abc"},
    ],
)
def test_what_is_no_report_is_none(stats: dict[str, object]) -> None:
    assert Report.read(stats) is None
