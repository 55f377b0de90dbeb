"""Who runs the next step: class, turns, deadline, and the room there is."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.engine.fairness import ROUND_S
from serve_app.engine.policies import Fcfs, Srpt
from serve_app.engine.scheduler import Ageing
from serve_app.messages import Priority
from tests.unit.engine.works import Named, cost_model, names, run, scheduler, work


def test_nothing_to_pick() -> None:
    assert names(scheduler()) == ""


def test_a_step_is_filled_up_to_its_budget_of_tokens() -> None:
    jobs = [work(name, num_tokens=40) for name in "abcd"]
    assert names(scheduler(*jobs, budget=130)) == "a b c"


def test_a_smaller_job_takes_the_room_that_a_larger_one_cannot() -> None:
    jobs = [work("a", num_tokens=80), work("b", num_tokens=80), work("c", num_tokens=20)]
    assert names(scheduler(*jobs)) == "a c"


def test_a_job_over_the_budget_runs_by_itself() -> None:
    picked = scheduler(work("large", num_tokens=500, due=20), work("small", num_tokens=1, due=90))
    assert names(picked) == "large"


def test_a_job_that_must_run_alone_does() -> None:
    alone = work("alone", due=20, num_tokens=10, runs_alone=True)
    picked = scheduler(alone, work("other", num_tokens=10))
    assert names(picked) == "alone"
    picked.remove(alone)
    assert names(picked) == "other"


def test_the_earliest_deadline_starts_first() -> None:
    assert names(scheduler(work("late", due=40), work("early", due=30))) == "early"


def test_a_hopeless_job_waits_for_those_with_hope() -> None:
    assert names(scheduler(work("hopeless", due=5), work("hopeful", due=30))) == "hopeful"


def test_of_the_hopeless_the_shortest_goes_first() -> None:
    assert names(scheduler(work("long", due=1), work("short", due=2, num_steps=3))) == "short"


def test_a_newcomer_that_is_due_later_does_not_interrupt() -> None:
    picked = scheduler(work("first", due=30))
    assert names(picked) == "first"
    picked.add(work("second", due=35))
    assert names(picked) == "first"


def test_a_newcomer_that_is_due_earlier_interrupts_one_that_can_wait() -> None:
    picked = scheduler(work("first", due=30))
    assert names(picked) == "first"
    picked.add(work("second", due=25))
    assert names(picked) == "second"


def test_a_newcomer_that_would_miss_interrupts_one_that_can_wait() -> None:
    first = work("first", due=100)
    picked = scheduler(first)
    assert names(picked) == "first"
    second = work("second", num_steps=2, due=9)
    picked.add(second)
    assert names(picked) == "second"
    picked.remove(second)
    assert names(picked, now=2.0) == "first"


def test_a_newcomer_does_not_make_another_miss() -> None:
    picked = scheduler(work("first", due=11))
    assert names(picked) == "first"
    picked.add(work("second", num_steps=2, due=9))
    assert names(picked) == "first"


def test_a_job_that_is_late_gives_way() -> None:
    picked = scheduler(work("late", due=5))
    assert names(picked) == "late"
    picked.add(work("hopeful", due=30))
    assert names(picked) == "hopeful"


def test_a_higher_class_goes_first_and_interrupts() -> None:
    batch = work("batch", due=10, priority=Priority.BATCH)
    picked = scheduler(batch)
    assert names(picked) == "batch"
    interactive = work("interactive", priority=Priority.INTERACTIVE)
    picked.add(work("standard"))
    picked.add(interactive)
    assert names(picked) == "interactive"
    picked.remove(interactive)
    assert names(picked) == "standard"


def test_what_was_interrupted_goes_on_where_it_stopped() -> None:
    urgent = work("urgent", num_steps=2, due=8)
    picked = scheduler(work("first", due=100))
    for now in (0.0, 1.0, 2.0):
        picked.pick(now)[0].num_steps_done += 1
    picked.add(urgent)
    done = run(picked)
    assert done == {"urgent": 2.0, "first": 2.0 + 7.0}


def test_one_tenant_does_not_starve_another() -> None:
    many = [work(f"many{i}", tenant="many", num_steps=20, due=1000 + i) for i in range(10)]
    few = [work(f"few{i}", tenant="few", num_steps=20, due=5000 + i) for i in range(3)]
    done = run(scheduler(*many, *few))
    # Equal shares would end its 60 seconds after 120; a round and a picture may come before.
    assert done["few2"] <= 2 * 60 + ROUND_S + 20
    assert done["many9"] == 260


def test_with_one_tenant_only_the_deadline_counts() -> None:
    jobs = [work(f"{i}", tenant="t", num_steps=20, due=1000 - i) for i in range(10)]
    assert list(run(scheduler(*jobs))) == [f"{i}" for i in reversed(range(10))]


def test_a_tenant_that_comes_back_has_no_credit() -> None:
    picked = scheduler(*(work(f"a{i}", tenant="a", num_steps=50, due=500 + i) for i in range(2)))
    run(picked, until=60)
    picked.add(work("b0", tenant="b", num_steps=50, due=900))
    picked.add(work("b1", tenant="b", num_steps=50, due=901))
    assert list(run(picked)) == ["a1", "b0", "b1"]


def test_a_starved_job_gets_its_share_and_no_more() -> None:
    starved = work("starved", num_steps=5, priority=Priority.BATCH)
    flood = [work(f"{i}", num_steps=20, due=1000, arrived=1) for i in range(10)]
    ageing = Ageing(after_s=10, share=0.1)
    picked = scheduler(starved, *flood, ageing=ageing)
    for now in range(60):
        for job in picked.pick(float(now)):
            job.num_steps_done += 1
            if job.is_done:
                picked.remove(job)
    # One step in ten, once it has waited ten seconds.
    assert 4 <= starved.num_steps_done <= 5


def test_an_aged_step_ends_nobodys_run() -> None:
    starved = work("starved", num_steps=5, priority=Priority.BATCH)
    flood = [work(f"{i}", num_steps=4, arrived=1) for i in range(10)]
    picked = scheduler(starved, *flood, ageing=Ageing(after_s=10, share=0.5))
    picks = []
    for now in range(11, 17):
        batch = picked.pick(float(now))
        picks.append(batch[0].name)
        batch[0].num_steps_done += 1
    assert picks == ["0", "starved", "0", "starved", "0", "starved"]


def test_an_aged_step_is_shared_with_those_who_fit() -> None:
    starved = work("starved", num_tokens=40, priority=Priority.BATCH)
    others = [work(name, num_tokens=40, arrived=1) for name in "abc"]
    picked = scheduler(starved, *others, budget=120, ageing=Ageing(after_s=10, share=1.0))
    assert names(picked, now=1.0) == "a b c"
    assert names(picked, now=20.0) == "starved a b"


def test_first_come_first_served_ages_no_job_of_the_same_class() -> None:
    ageing = Ageing(after_s=10, share=1.0)
    jobs = [work(name, arrived=number) for number, name in enumerate("abc")]
    picked = scheduler(*jobs, policy=Fcfs(), ageing=ageing)
    assert [names(picked, now=now) for now in (0.0, 50.0, 99.0)] == ["a", "a", "a"]
    picked.add(work("batch", priority=Priority.BATCH))
    assert [names(picked, now=now) for now in (100.0, 101.0)] == ["batch", "batch"]


def test_first_come_first_served_lets_no_small_job_pass_a_large_one() -> None:
    jobs = [work("a", num_tokens=80), work("b", num_tokens=80), work("c", num_tokens=20)]
    assert names(scheduler(*jobs, policy=Fcfs())) == "a"


def test_without_ageing_it_starves() -> None:
    starved = work("starved", num_steps=1, priority=Priority.BATCH)
    run(scheduler(starved, *(work(f"{i}") for i in range(3))), until=30)
    assert starved.num_steps_done == 0


def test_first_come_first_served() -> None:
    jobs = [work("b", arrived=2, due=1), work("a", arrived=1), work("c", arrived=3, due=15)]
    assert list(run(scheduler(*jobs, policy=Fcfs()))) == ["a", "b", "c"]


def test_the_shortest_remaining_goes_first_and_interrupts() -> None:
    picked = scheduler(work("long", num_steps=9), policy=Srpt(cost_model()))
    picked.pick(0.0)[0].num_steps_done += 1
    picked.add(work("longer", num_steps=10))
    picked.add(work("shorter", num_steps=7))
    assert list(run(picked)) == ["shorter", "long", "longer"]


def test_what_goes_before_a_newcomer_is_known() -> None:
    picked = scheduler(
        work("running", due=12),
        work("earlier", due=40),
        work("later", due=60),
        work("batch", due=20, priority=Priority.BATCH),
    )
    assert names(picked) == "running"
    assert picked.ahead_s(work("new", due=50), 0.0) == 20
    assert picked.ahead_s(work("new", due=80), 0.0) == 30
    assert picked.ahead_s(work("new", due=80, priority=Priority.INTERACTIVE), 0.0) == 0
    assert picked.ahead_s(work("new", due=80, priority=Priority.BATCH), 0.0) == 40


def test_what_shares_no_step_goes_before_a_newcomer_with_all_its_overhead() -> None:
    def ahead_s(num_tokens: int) -> float:
        jobs = [work(f"{i}", num_tokens=num_tokens, due=500) for i in range(10)]
        return scheduler(*jobs, overhead_s=1.0).ahead_s(work("new", due=900), 0.0)

    assert ahead_s(num_tokens=100) == 10 * 10 * (1 + 1)
    assert ahead_s(num_tokens=10) == 10 * 10 * 1 + 10


def test_a_tenant_that_had_less_goes_before_a_newcomer_until_it_had_as_much() -> None:
    picked = scheduler(work("served", tenant="much", num_steps=100, due=1000))
    picked.add(work("unserved", tenant="little", due=3000))
    run(picked, until=2 * ROUND_S)
    assert picked.ahead_s(work("new", tenant="much", due=2000), 2 * ROUND_S) == 40 + 10
    picked.add(work("more", tenant="little", num_steps=500, due=4000))
    new = work("new", tenant="much", due=2000)
    assert picked.ahead_s(new, 2 * ROUND_S) == 40 + 2 * ROUND_S
    assert picked.ahead_s(work("new", tenant="little", due=999), 2 * ROUND_S) == 0


def late_pictures(count: int) -> list[Named]:
    """Return jobs of which each is due after three times the seconds it would take alone."""
    return [work(f"{i}", num_steps=15, num_tokens=1, due=3 * 15 * 2) for i in range(count)]


def test_no_more_share_a_step_than_can_end_in_time() -> None:
    done = run(scheduler(*late_pictures(8), budget=19, overhead_s=1.0), overhead_s=1.0)
    assert sum(ends_at <= 90 for ends_at in done.values()) == 5


def test_those_who_are_late_share_as_the_budget_allows() -> None:
    jobs = late_pictures(8)
    for job in jobs:
        job.deadline_at = 1.0
    assert len(scheduler(*jobs, budget=19, overhead_s=1.0).pick(0.0)) == 8


def test_a_higher_class_joins_though_a_lower_one_is_late_by_it() -> None:
    picked = scheduler(work("low", num_tokens=10, due=12, priority=Priority.BATCH))
    assert names(picked) == "low"
    picked.add(work("same", num_tokens=10, due=90, priority=Priority.BATCH))
    assert names(picked) == "low"
    picked.add(work("high", num_tokens=10, due=90))
    assert "high" in names(picked)


def test_a_tenant_that_had_less_joins_though_another_is_late_by_it() -> None:
    picked = scheduler(
        work("many", num_tokens=40, num_steps=40, tenant="many", due=41),
        work("few", num_tokens=40, tenant="few"),
    )
    run(picked, until=ROUND_S - 1)
    assert names(picked, now=ROUND_S - 1) == "many"
    assert names(picked, now=ROUND_S) == "many few"


def test_of_the_late_those_go_first_that_are_still_of_use() -> None:
    useless, useful = work("useless", due=1, num_steps=3), work("useful", due=2, num_steps=9)
    useless.must_end_at, useful.must_end_at = 2.0, 20.0
    picked = scheduler(useless, useful)
    assert names(picked) == "useful"
    assert names(picked, now=12.0) == "useless"


def test_jobs_that_must_run_alone_part() -> None:
    jobs = [work(name, num_tokens=10) for name in "ab"]
    picked = scheduler(*jobs)
    assert names(picked) == "a b"
    for job in jobs:
        job.runs_alone = True
    assert names(picked) == "a"


def test_removing_what_waits_or_runs_forgets_it() -> None:
    running, waiting = work("running", due=20), work("waiting", due=30)
    picked = scheduler(running, waiting)
    assert names(picked) == "running"
    picked.remove(waiting)
    picked.remove(running)
    assert (list(picked.jobs), names(picked)) == ([], "")


JOBS = st.builds(
    work,
    name=st.just("job"),
    num_steps=st.integers(1, 6),
    seconds=st.sampled_from([0.5, 1.0, 3.0]),
    num_tokens=st.integers(1, 200),
    due=st.one_of(st.just(inf), st.floats(0, 50)),
    arrived=st.floats(0, 20),
    priority=st.sampled_from(Priority),
    tenant=st.sampled_from(["", "a", "b"]),
    runs_alone=st.booleans(),
)


@pytest.mark.parametrize("policy", [None, Fcfs(), Srpt(cost_model())])
@given(jobs=st.lists(JOBS, max_size=12))
def test_whatever_comes_every_job_ends_and_no_step_is_too_large(
    policy: object, jobs: list[Named]
) -> None:
    picked = scheduler(*jobs, policy=policy)  # type: ignore[arg-type]
    num_steps = 0
    while picked.jobs:
        batch = picked.pick(float(num_steps))
        assert batch, "somebody runs while anybody waits"
        assert len(batch) == 1 or sum(job.num_tokens for job in batch) <= 100
        assert len(batch) == 1 or not any(job.runs_alone for job in batch)
        for job in batch:
            job.num_steps_done += 1
            if job.is_done:
                picked.remove(job)
        num_steps += 1
    assert all(job.is_done for job in jobs)
    assert num_steps <= sum(job.num_steps for job in jobs)
