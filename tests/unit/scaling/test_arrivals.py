"""A steady stream is seen as what it is, and forgotten when it ends."""

import pytest

from serve_app.scaling.arrivals import MEMORY_S, Arrivals


def test_a_steady_stream_is_seen_as_its_rate() -> None:
    arrivals = Arrivals()
    for second in range(int(5 * MEMORY_S)):
        arrivals.add(3.0, second)
    assert arrivals.per_s(5 * MEMORY_S) == pytest.approx(3.0, rel=0.02)


def test_what_came_is_forgotten() -> None:
    arrivals = Arrivals()
    arrivals.add(MEMORY_S, 100)
    assert arrivals.per_s(100) == 1.0
    assert arrivals.per_s(100 + MEMORY_S) == pytest.approx(0.368, abs=0.001)
    assert arrivals.per_s(100 + 20 * MEMORY_S) < 1e-8


def test_nothing_comes_at_first() -> None:
    assert Arrivals().per_s(50) == 0.0
