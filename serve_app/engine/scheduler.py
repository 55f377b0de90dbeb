"""Which jobs run the next denoising step. Pure Python: no torch, no clock, no thread.

A paused job costs nothing but its latents, so the choice is made anew before every step, and one
rule covers admission, preemption and resuming: who ran stays, waiting jobs fill the room that is
left, and take a running one's room where their class is higher or the policy allows it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nsmallest
from math import inf
from typing import Generic, TypeVar

from serve_app.engine.cost_model import CostModel
from serve_app.engine.fairness import Turns
from serve_app.engine.policies import Policy
from serve_app.engine.work import Work

WorkT = TypeVar("WorkT", bound=Work)

# Waiting jobs that are looked at for one step; those behind them wait for another.
MAX_CONSIDERED = 64


@dataclass(frozen=True, slots=True)
class Ageing:
    """What a job gets that others always go before: a bounded share, so that it ends some day.

    Attributes:
        after_s: Seconds after its arrival from which a waiting job counts as starved.
        share: Of all steps, for the oldest of the starved.
    """

    after_s: float
    share: float


@dataclass(frozen=True, slots=True)
class Rules:
    """What a choice is made by; others may be given at any time.

    Attributes:
        policy: Orders the waiting jobs of a class.
        token_budget: Of one step, prompts included; a job that is larger runs alone.
        ageing: What starved jobs get.
    """

    policy: Policy
    token_budget: int
    ageing: Ageing


class Scheduler(Generic[WorkT]):
    """Chooses the jobs of each step: by class, by tenants' turns, by a policy.

    A step takes as many jobs as its budget of tokens allows, whatever their number: beyond the
    budget more pictures in a step only delay each other.
    """

    def __init__(self, cost_model: CostModel, rules: Rules) -> None:
        """Start without jobs.

        Args:
            cost_model: Predicts the seconds of a step.
            rules: To begin with.
        """
        self._cost_model = cost_model
        self._rules = rules
        self._turns = Turns()
        # In the order of their arrival, as dictionaries keep it; the values mean nothing.
        self._running: dict[WorkT, None] = {}
        self._waiting: dict[WorkT, None] = {}
        self._order: list[WorkT] = []
        self._order_holds_until = -inf
        self._rounds: dict[str, int] = {}
        self._aged_steps = 0.0

    @property
    def rules(self) -> Rules:
        """What it chooses by."""
        return self._rules

    @rules.setter
    def rules(self, rules: Rules) -> None:
        self._rules = rules
        self._order_holds_until = -inf

    @property
    def jobs(self) -> Sequence[WorkT]:
        """A copy of the unfinished jobs: the running ones, then those that wait."""
        return (*self._running, *self._waiting)

    def add(self, job: WorkT) -> None:
        """Admit a job."""
        self._waiting[job] = None
        self._turns.join(job.tenant)
        self._order_holds_until = -inf

    def remove(self, job: WorkT) -> None:
        """Forget a job that is done, failed or cancelled."""
        self._turns.leave(job.tenant)
        if job in self._running:
            del self._running[job]
        else:
            del self._waiting[job]
            self._order_holds_until = -inf

    def pick(self, now: float) -> Sequence[WorkT]:
        """Return the jobs that run the next step; none only when there is none.

        Args:
            now: On the engine's clock, in seconds.
        """
        self._fill(now)
        self._age(now)
        self._account()
        return tuple(self._running)

    def ahead_s(self, job: Work, now: float) -> float:
        """Return the predicted seconds of work that goes before a job that is not here yet."""
        share_s, rank = self._cost_model.share_s, self._rules.policy.rank
        place = (job.priority, rank(job, now))
        return sum(
            share_s(other)
            for other in self.jobs
            if (
                not self._may_interrupt(job, other, now)
                if other in self._running
                else (other.priority, rank(other, now)) <= place
            )
        )

    def _fill(self, now: float) -> None:
        """Let waiting jobs in, by their order, as far as there is or may be made room."""
        for job in self._ordered(now):
            victims = self._victims(job, now)
            if victims is not None:
                self._swap(job, victims)

    def _victims(self, job: WorkT, now: float) -> list[WorkT] | None:
        """Return who must go for a waiting job to run; None if it may not."""
        left, victims = list(self._running), []
        num_tokens = sum(running.num_tokens for running in left)
        while left and not self._fits(job, left, num_tokens):
            victim = next((r for r in reversed(left) if self._may_interrupt(job, r, now)), None)
            if victim is None:
                return None
            left.remove(victim)
            victims.append(victim)
            num_tokens -= victim.num_tokens
        return victims

    def _fits(self, job: WorkT, others: Sequence[WorkT], num_tokens: int) -> bool:
        """Whether a job can share a step with others of so many tokens."""
        if job.runs_alone or any(other.runs_alone for other in others):
            return False
        return job.num_tokens + num_tokens <= self._rules.token_budget

    def _may_interrupt(self, job: Work, running: Work, now: float) -> bool:
        if job.priority != running.priority:
            return job.priority < running.priority
        # Unknown is who has no job here; its turn is no later than anybody's.
        if self._rounds.get(job.tenant, 0) > self._rounds.get(running.tenant, 0):
            return False
        return self._rules.policy.may_interrupt(job, running, now)

    def _swap(self, job: WorkT, victims: Sequence[WorkT]) -> None:
        del self._waiting[job]
        for victim in victims:
            del self._running[victim]
            self._waiting[victim] = None
            self._order_holds_until = -inf
        self._running[job] = None

    def _ordered(self, now: float) -> list[WorkT]:
        """Return the first of the waiting jobs; sorted anew only when something has changed."""
        rounds = self._turns.rounds()
        is_used_up = not self._order and self._waiting
        if is_used_up or now > self._order_holds_until or rounds != self._rounds:
            self._rounds = rounds
            rank, until = self._rules.policy.rank, self._rules.policy.rank_holds_until
            self._order = nsmallest(
                MAX_CONSIDERED,
                self._waiting,
                key=lambda job: (job.priority, rounds[job.tenant], rank(job, now)),
            )
            self._order_holds_until = min((until(job, now) for job in self._waiting), default=inf)
        self._order = [job for job in self._order if job in self._waiting]
        return self._order

    def _age(self, now: float) -> None:
        """Give the oldest of the starved its share: it runs this step in the others' place."""
        self._aged_steps += self._rules.ageing.share
        if self._aged_steps < 1 or not self._waiting:
            return
        oldest = min(self._waiting, key=lambda job: job.arrived_at)
        if now - oldest.arrived_at > self._rules.ageing.after_s:
            self._aged_steps = 0.0
            self._swap(oldest, list(self._running))

    def _account(self) -> None:
        """Share out the step's predicted seconds among the tenants, by their tokens."""
        step_s = self._cost_model.batch_s(self._running)
        num_tokens = sum(job.num_tokens for job in self._running)
        for job in self._running:
            self._turns.serve(job.tenant, step_s * job.num_tokens / num_tokens)
