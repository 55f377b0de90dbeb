"""What was wanted lately is kept; what was wanted long ago is not."""

from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.scaling.hold import Hold


def test_a_number_is_kept_for_as_long_as_it_is_held() -> None:
    hold = Hold().after(0, 5, 10).after(1, 2, 10)
    assert hold.greatest == 5
    assert hold.after(9.9, 1, 10).greatest == 5
    assert hold.after(10, 1, 10).greatest == 2
    assert hold.after(100, 1, 10).greatest == 1


def test_a_greater_number_counts_at_once() -> None:
    assert Hold().after(0, 1, 10).after(0, 7, 10).greatest == 7


def test_nothing_is_held_before_the_first() -> None:
    assert Hold().greatest == 0


def test_of_many_only_the_last_is_held_longer() -> None:
    hold = Hold().after(0, 7, 10, 100)
    found = []
    for now in (5, 9, 10, 50, 99, 101):
        hold = hold.after(now, 0, 10, 100)
        found.append(hold.greatest)
    assert found == [7, 7, 1, 1, 1, 0]


def test_the_last_is_held_from_when_it_was_wanted_last() -> None:
    hold = Hold().after(0, 7, 10, 100).after(8, 2, 10, 100).after(60, 0, 10, 100)
    assert hold.after(107, 0, 10, 100).greatest == 1
    assert hold.after(109, 0, 10, 100).greatest == 0


@settings(deadline=None)  # others may use the machine
@given(st.lists(st.tuples(st.floats(0, 20), st.integers(0, 50)), min_size=1, max_size=60))
def test_it_is_the_greatest_of_the_last_seconds(steps: list[tuple[float, int]]) -> None:
    hold, now, seen = Hold(), 0.0, list[tuple[float, int]]()
    for gap, number in steps:
        now += gap
        seen.append((now, number))
        hold = hold.after(now, number, 30)
        assert hold.greatest == max(number for time, number in seen if time > now - 30)
