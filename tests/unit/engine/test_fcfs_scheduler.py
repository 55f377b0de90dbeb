"""First come, first served, with strings for jobs."""

from serve_app.engine.scheduler import FcfsScheduler


def filled(*jobs: str) -> FcfsScheduler[str]:
    scheduler: FcfsScheduler[str] = FcfsScheduler()
    for job in jobs:
        scheduler.add(job)
    return scheduler


def test_nothing_to_pick() -> None:
    assert list(FcfsScheduler[str]().pick()) == []


def test_the_oldest_job_is_picked_until_it_is_removed() -> None:
    scheduler = filled("a", "b", "c")
    assert list(scheduler.pick()) == ["a"]
    assert list(scheduler.pick()) == ["a"]
    scheduler.remove("a")
    assert list(scheduler.pick()) == ["b"]


def test_a_waiting_job_can_leave() -> None:
    scheduler = filled("a", "b", "c")
    scheduler.remove("b")
    assert list(scheduler.jobs) == ["a", "c"]


def test_jobs_can_be_removed_while_they_are_looked_through() -> None:
    scheduler = filled("a", "b", "c")
    for job in scheduler.jobs:
        scheduler.remove(job)
    assert list(scheduler.jobs) == []
