"""What goes before a picture that comes, by its class and by when it is due."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.engine.outlook import DUE_WITHIN_S, Load, Outlook
from serve_app.engine.policies import EarliestDeadline, Fcfs, Srpt
from serve_app.messages import Priority
from tests.unit.engine.works import cost_model, scheduler, work

LOADS = st.lists(
    st.builds(
        Load,
        st.sampled_from(Priority),
        st.one_of(st.floats(-10, 400), st.just(inf)),
        st.floats(0, 100),
    )
)


def test_what_is_due_later_goes_behind() -> None:
    outlook = Outlook.of([Load(Priority.STANDARD, 3.0, 10.0), Load(Priority.STANDARD, 30.0, 20.0)])
    assert outlook.ahead_s(Priority.STANDARD, 1.5) == 0
    assert outlook.ahead_s(Priority.STANDARD, 10.0) == 10
    assert outlook.ahead_s(Priority.STANDARD, 100.0) == 30


def test_within_a_bin_work_counts_as_if_spread_evenly() -> None:
    outlook = Outlook.of([Load(Priority.STANDARD, 12.0, 40.0)])
    assert outlook.ahead_s(Priority.STANDARD, 10.0) == 10
    assert outlook.ahead_s(Priority.STANDARD, 16.0) == 40


def test_a_higher_class_goes_before_whatever_it_is_due() -> None:
    outlook = Outlook.of([Load(Priority.INTERACTIVE, inf, 5.0), Load(Priority.STANDARD, 1.0, 7.0)])
    assert outlook.ahead_s(Priority.INTERACTIVE, 200.0) == 0
    assert outlook.ahead_s(Priority.STANDARD, 0.0) == 5
    assert outlook.ahead_s(Priority.BATCH, 0.0) == 12


def test_what_is_late_goes_behind_all_that_are_due_at_some_time() -> None:
    outlook = Outlook.of([Load(Priority.STANDARD, inf, 5.0)])
    assert outlook.ahead_s(Priority.STANDARD, DUE_WITHIN_S[-1]) == 0
    assert outlook.all_s == 5


@given(LOADS, st.sampled_from(Priority), st.floats(0, 500), st.floats(0, 500))
def test_later_is_never_sooner(
    loads: list[Load], priority: Priority, one: float, two: float
) -> None:
    outlook = Outlook.of(loads)
    sooner, later = sorted((one, two))
    ahead_s = outlook.ahead_s(priority, sooner)
    assert 0 <= ahead_s <= outlook.ahead_s(priority, later) + 1e-9
    assert ahead_s <= outlook.all_s + 1e-9


@given(LOADS, st.sampled_from(Priority), st.sampled_from(DUE_WITHIN_S))
def test_at_the_edge_of_a_bin_it_is_exact(
    loads: list[Load], priority: Priority, due_in_s: float
) -> None:
    expected = sum(
        load.seconds
        for load in loads
        if load.priority < priority or (load.priority == priority and load.due_in_s <= due_in_s)
    )
    assert Outlook.of(loads).ahead_s(priority, due_in_s) == pytest.approx(expected)


def test_a_scheduler_tells_of_the_running_and_of_those_that_wait() -> None:
    # Ten seconds each: of two that are in time, one runs; the third is late already.
    jobs = scheduler(work("runs", due=30), work("waits", due=100), work("late", due=5))
    jobs.pick(0.0)
    outlook = jobs.outlook(0.0)
    assert outlook.ahead_s(Priority.STANDARD, 16.0) == 0
    assert outlook.ahead_s(Priority.STANDARD, 32.0) == 10
    assert outlook.ahead_s(Priority.STANDARD, 128.0) == 20
    assert outlook.all_s == 30


@pytest.mark.parametrize("policy", [Fcfs(), Srpt(cost_model())])
def test_where_deadlines_do_not_count_all_goes_before(policy: Fcfs | Srpt) -> None:
    jobs = scheduler(work("a", due=30), work("b", due=5), policy=policy)
    assert jobs.outlook(0.0).ahead_s(Priority.STANDARD, 1.0) == 20


def test_a_deadline_counts_until_it_cannot_be_met() -> None:
    policy, job = EarliestDeadline(cost_model()), work("a", due=30)
    assert policy.due_at(job, 20.0) == 30
    assert policy.due_at(job, 20.5) == inf
