"""Works take turns there and back, and one that does not fit leaves the others alone."""

import pytest
import torch

from benchmarks.turns import measure

CPU = torch.device("cpu")


def test_works_take_turns_there_and_back() -> None:
    done: list[str] = []
    works = {name: lambda name=name: done.append(name) for name in "ABC"}
    measured = measure(works, CPU, num_rounds=2, num_repeats=2)
    first, turns = done[:3], done[3:]
    assert first == ["A", "B", "C"]
    assert "".join(turns) == "AABBCCCCBBAA" * 2
    assert [len(one.times_s) for one in measured.values()] == [4, 4, 4]


def test_the_time_of_a_turn_is_that_of_one_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: now_s[0])

    def work() -> None:
        now_s[0] += 2.0 + 0.1 * now_s[0]

    (measured,) = measure({"work": work}, CPU, num_rounds=1, num_repeats=4).values()
    # Past the unmeasured one, at 2 s: 2.2 + 2.42 + 2.662 + 2.9282, then on from there.
    assert measured.times_s == pytest.approx((2.55255, 3.73718), abs=1e-4)
    assert measured.median_s == pytest.approx(3.14486, abs=1e-4)


def test_a_work_without_memory_is_left_out() -> None:
    def too_large() -> None:
        raise torch.OutOfMemoryError

    measured = measure({"too large": too_large, "fits": lambda: None}, CPU, 1, 1)
    assert list(measured) == ["fits"]
    assert measured["fits"].peak_bytes is None
