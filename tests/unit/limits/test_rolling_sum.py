"""Parts leave the sum at their time: the same as a list of all of them would say."""

from hypothesis import given
from hypothesis import strategies as st

from serve_app.limits.rolling_sum import TICK_NS, RollingSum

MINUTE_NS = 1200 * TICK_NS


def test_a_part_is_in_the_sum_until_its_time() -> None:
    total = RollingSum()
    total.add(3, 10 * TICK_NS)
    total.add(2, 20 * TICK_NS)
    times = (0, 10 * TICK_NS - 1, 10 * TICK_NS, 20 * TICK_NS - 1, 20 * TICK_NS)
    assert [total.total(time) for time in times] == [5, 5, 2, 2, 0]


def test_a_part_never_leaves_early_and_at_most_one_tick_late() -> None:
    total = RollingSum()
    total.add(1, 10 * TICK_NS + 1)
    assert total.total(10 * TICK_NS + 1) == 1
    assert total.total(11 * TICK_NS) == 0


def test_what_is_taken_out_is_what_was_put_in() -> None:
    total = RollingSum()
    total.add(3, 10 * TICK_NS)
    total.add(4, 20 * TICK_NS)
    total.take_out(2, 10 * TICK_NS)
    assert total.total(0) == 5
    total.take_out(100, 10 * TICK_NS)
    assert total.total(0) == 4
    total.take_out(1, 30 * TICK_NS)
    assert total.total(0) == 4


def test_what_has_left_cannot_be_taken_out_again() -> None:
    total = RollingSum()
    total.add(3, 10 * TICK_NS)
    assert total.total(10 * TICK_NS) == 0
    total.take_out(3, 10 * TICK_NS)
    assert total.total(10 * TICK_NS) == 0


def test_when_it_falls_low_enough() -> None:
    total = RollingSum()
    total.add(3, 10 * TICK_NS)
    total.add(2, 20 * TICK_NS)
    assert [total.falls_to_in_ns(low, 0) for low in (9, 5, 4, 2, 1, 0)] == [
        0,
        0,
        10 * TICK_NS,
        10 * TICK_NS,
        20 * TICK_NS,
        20 * TICK_NS,
    ]
    assert total.falls_to_in_ns(0, 15 * TICK_NS) == 5 * TICK_NS


def test_when_all_of_it_has_left() -> None:
    total = RollingSum()
    assert total.is_over_in_ns(0) == 0
    total.add(2, 20 * TICK_NS)
    total.add(3, 10 * TICK_NS)
    assert total.is_over_in_ns(5 * TICK_NS) == 15 * TICK_NS
    assert total.is_over_in_ns(20 * TICK_NS) == 0
    assert total.is_over_in_ns(30 * TICK_NS) == 0


def test_its_parts_can_be_told_to_another() -> None:
    total, other = RollingSum(), RollingSum()
    total.add(3, 10 * TICK_NS)
    total.add(2, 20 * TICK_NS)
    total.take_out(2, 20 * TICK_NS)
    now_ns, offset_ns = 4 * TICK_NS, 7_000 * TICK_NS
    for amount, ends_in_ns in total.parts(now_ns):
        other.add(amount, now_ns + offset_ns + ends_in_ns)
    assert other.total(offset_ns + 10 * TICK_NS - 1) == 3
    assert other.total(offset_ns + 10 * TICK_NS) == 0


def test_a_minute_of_many_parts_takes_little_room() -> None:
    total = RollingSum()
    for index in range(20_000):
        total.add(10, index * MINUTE_NS // 20_000 + 1)
    assert total.total(0) == 200_000
    assert len(total.parts(0)) <= 1200


@given(
    parts=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 50)), max_size=40),
    now=st.integers(0, 60),
    low=st.integers(0, 100),
)
def test_it_agrees_with_a_list_of_its_parts(
    parts: list[tuple[int, int]], now: int, low: int
) -> None:
    total = RollingSum()
    for amount, tick in parts:
        total.add(amount, tick * TICK_NS)

    def listed(tick: int) -> int:
        return sum(amount for amount, end in parts if end > tick)

    assert total.total(now * TICK_NS) == listed(now)
    falls_at = next(tick for tick in range(now, 200) if listed(tick) <= low)
    assert total.falls_to_in_ns(low, now * TICK_NS) == (falls_at - now) * TICK_NS
