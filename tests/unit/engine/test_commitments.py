"""What was accepted is not lost to what comes later: that is refused, while it may be repeated."""

import random
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.engine.admission import MAX_RETRY_S, check_in_time, check_others_in_time
from serve_app.engine.policies import Fcfs
from serve_app.engine.scheduler import Scheduler
from serve_app.errors import DeadlineExceededError, OverloadedError
from serve_app.messages import Priority
from tests.unit.engine.works import Named, scheduler, step, work

NOW = 6.0
STANDARD = Priority.STANDARD


def job(due: float, must_end: float, num_steps: int = 10, priority: Priority = STANDARD) -> Named:
    """Return so many seconds of work."""
    made = work(f"due {due}", due=due, num_steps=num_steps, priority=priority)
    made.must_end_at = must_end
    return made


def test_with_room_for_all_nobody_waits() -> None:
    late, new = job(due=5, must_end=30), job(due=40, must_end=60)
    assert scheduler(late).must_wait_s(new, NOW) == 0


def test_a_late_one_is_kept_as_long_as_all_there_is_ends_before_it_must() -> None:
    new = job(due=40, must_end=60)
    # 20 seconds of work end at 26; without the newcomer, at 16.
    assert scheduler(job(due=5, must_end=26)).must_wait_s(new, NOW) == 0
    assert scheduler(job(due=5, must_end=25)).must_wait_s(new, NOW) == 10


def test_one_that_is_lost_already_keeps_nobody_out() -> None:
    assert scheduler(job(due=5, must_end=15)).must_wait_s(job(due=40, must_end=60), NOW) == 0


def test_who_is_in_time_in_order_needs_no_room_behind_it() -> None:
    soon = job(due=20, must_end=20)
    assert scheduler(soon).must_wait_s(job(due=40, must_end=60), NOW) == 0
    assert scheduler(soon).must_wait_s(job(due=19, must_end=60), NOW) == 10


def test_a_newcomer_that_may_be_late_itself_needs_room_for_all() -> None:
    jobs = [job(due=20 + n, must_end=90) for n in range(3)]
    assert scheduler(*jobs).must_wait_s(job(due=40, must_end=46), NOW) == 0
    assert scheduler(*jobs).must_wait_s(job(due=40, must_end=45), NOW) == 30


def test_where_predictions_err_room_is_left_for_that() -> None:
    """Another's 10 seconds that are wrong by 20 % may be 14; its own are its own."""
    new = job(due=40, must_end=60)
    assert scheduler(job(due=5, must_end=30), error=0.2).must_wait_s(new, NOW) == 0
    assert scheduler(job(due=5, must_end=29), error=0.2).must_wait_s(new, NOW) == 10
    # Nobody is ahead: it may try.
    assert scheduler(error=0.2).must_wait_s(job(due=16, must_end=16), NOW) == 0


def test_one_that_may_not_be_done_in_time_after_all_is_not_given_up() -> None:
    """It was promised more than can be kept for certain; nothing comes before it for that."""
    jobs = [job(due=5, must_end=27), job(due=5.5, must_end=40)]
    new = job(due=40, must_end=90)
    assert scheduler(*jobs[1:], error=0.2).must_wait_s(new, NOW) == 0
    assert scheduler(*jobs, error=0.2).must_wait_s(new, NOW) == 20


def test_an_error_is_not_believed_beyond_reason() -> None:
    jobs = [job(due=5, must_end=36)]
    assert scheduler(*jobs, error=9.0).must_wait_s(job(due=40, must_end=60), NOW) == 0


def test_none_is_refused_for_the_sake_of_a_longer_one() -> None:
    long = job(due=5, must_end=27, num_steps=20)
    assert scheduler(long).must_wait_s(job(due=40, must_end=60, num_steps=10), NOW) == 0
    assert scheduler(long).must_wait_s(job(due=80, must_end=99, num_steps=20), NOW) == 20


@pytest.mark.parametrize(
    ("priority", "expected"),
    [(Priority.INTERACTIVE, 0), (Priority.STANDARD, 10), (Priority.BATCH, 0)],
)
def test_only_those_of_its_class_keep_a_newcomer_out(priority: Priority, expected: float) -> None:
    late, new = job(due=5, must_end=20), job(due=40, must_end=60, priority=priority)
    assert scheduler(late).must_wait_s(new, NOW) == expected


def test_all_of_a_higher_class_goes_before_and_none_of_a_lower() -> None:
    above = job(due=90, must_end=99, num_steps=14, priority=Priority.INTERACTIVE)
    below = job(due=7, must_end=99, num_steps=14, priority=Priority.BATCH)
    late, new = job(due=5, must_end=35), job(due=60, must_end=90)
    assert scheduler(late, below).must_wait_s(new, NOW) == 0
    assert scheduler(late, above, below).must_wait_s(new, NOW) == 24


def test_who_has_no_end_is_never_lost() -> None:
    assert scheduler(job(due=5, must_end=inf)).must_wait_s(job(due=40, must_end=inf), NOW) == 0


def test_where_deadlines_do_not_matter_nobody_is_kept_out() -> None:
    jobs = scheduler(job(due=5, must_end=20), policy=Fcfs())
    assert jobs.must_wait_s(job(due=40, must_end=60), NOW) == 0


def test_the_refusal_says_why_and_until_when() -> None:
    check_others_in_time(0.0)
    with pytest.raises(OverloadedError, match=r"accepted could not all .* 6\.5 seconds") as told:
        check_others_in_time(6.5)
    assert told.value.retry_after_s == 7
    with pytest.raises(OverloadedError) as told:
        check_others_in_time(1000.0)
    assert told.value.retry_after_s == MAX_RETRY_S
    with pytest.raises(DeadlineExceededError):
        check_in_time(11.0, 6.0, 10.0)


@given(st.randoms(use_true_random=False))
def test_nobody_who_was_accepted_is_lost_in_a_flood(rng: random.Random) -> None:
    """Newcomers of one size keep coming, several times as many as can be served."""
    jobs, now = scheduler(), 0.0
    accepted, done = list[Named](), dict[str, float]()
    for number in range(60):
        new = work(f"{number}", due=now + 30, arrived=now)
        new.must_end_at = now + 60
        if is_accepted(jobs, new, now):
            jobs.add(new)
            accepted.append(new)
        assert jobs.jobs, "somebody was refused for nobody"
        for _ in range(rng.randint(1, 6)):
            now = step(jobs, now, done) if jobs.jobs else now + 1.0
    while jobs.jobs:
        now = step(jobs, now, done)
    assert len(done) == len(accepted)
    assert [one.name for one in accepted if done[one.name] > one.must_end_at] == []
    # Pauses are from when the last is done to when the next comes.
    assert 10 * len(accepted) >= 0.8 * now


def is_accepted(jobs: Scheduler[Named], new: Named, now: float) -> bool:
    ahead_s, left_s = jobs.ahead_s(new, now), new.must_end_at - now
    try:
        check_in_time(10.0, ahead_s, left_s)
        check_others_in_time(jobs.must_wait_s(new, now))
    except OverloadedError:
        return False
    return True
