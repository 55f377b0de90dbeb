"""Which jobs run the next denoising step. Pure Python: no torch, no clock, no thread.

A paused job costs nothing but its latents, so the choice is made anew before every step, and one
rule covers admission, preemption and resuming: who ran stays, waiting jobs fill the room that is
left, and take a running one's room where their class is higher or the policy allows it. None joins
by whom one that runs would lose a deadline.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import fsum, inf
from typing import Generic

from serve_app.engine.commitments import Commitment, must_wait_s
from serve_app.engine.cost_model import CostModel
from serve_app.engine.fairness import ROUND_S, Turns
from serve_app.engine.outlook import Load, Outlook
from serve_app.engine.policies import Policy
from serve_app.engine.waiting import Place, Waiting, WorkT
from serve_app.engine.work import Work

Group = tuple[int, int]  # a class, and a round of its tenants
# The seconds that a step may grow without a deadline being lost.
Tolerances = Mapping[Group, float]
Ranks = Mapping[Group, tuple[float, float]]
# A starved job of the class that runs waits so many times as long for each step as one of a lower
# class: its policy put it last, and steps for it make others late (3 % of them: up to 4 points).
WITHIN_CLASS = 3


@dataclass(frozen=True, slots=True)
class Ageing:
    """What a job gets that others always go before: a bounded share, so that it ends some day.

    Attributes:
        after_s: Seconds after its arrival from which a waiting job counts as starved.
        share: Of all steps, for the oldest of the starved; after such a step those run on that ran
            before it.
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

    A step takes as many jobs as its budget of tokens and their deadlines allow, whatever their
    number: beyond the budget more pictures in a step only delay each other.
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
        # In the order in which they joined, as dictionaries keep it; the values mean nothing.
        self._running: dict[WorkT, None] = {}
        self._num_tokens = 0  # of all that run
        self._waiting: Waiting[WorkT] = Waiting(
            self._place, lambda job, now: self._rules.policy.rank_holds_until(job, now)
        )
        self._rounds: dict[str, int] = {}
        self._tolerances: Tolerances = {}
        self._aged_steps = 0.0
        self._aged: WorkT | None = None
        self._none_starves_before = -inf

    @property
    def rules(self) -> Rules:
        """What it chooses by."""
        return self._rules

    @rules.setter
    def rules(self, rules: Rules) -> None:
        self._rules = rules
        self._none_starves_before = -inf
        self._waiting.unsort()

    @property
    def jobs(self) -> Sequence[WorkT]:
        """A copy of the unfinished jobs: the running ones, then those that wait."""
        return (*self._running, *self._waiting)

    def add(self, job: WorkT) -> None:
        """Admit a job."""
        self._turns.join(job.tenant)
        self._wait(job)

    def remove(self, job: WorkT) -> None:
        """Forget a job that is done, failed or cancelled."""
        self._turns.leave(job.tenant)
        if job in self._running:
            self._stop(job)
        else:
            self._waiting.remove(job)

    def pick(self, now: float) -> Sequence[WorkT]:
        """Return the jobs that run the next step; none only when there is none.

        Args:
            now: On the engine's clock, in seconds.
        """
        self._part()
        self._take_turns()
        self._fill(now)
        batch = self._aged_step(now) or tuple(self._running)
        self._account(batch)
        return batch

    def ahead_s(self, job: Work, now: float) -> float:
        """Return the predicted seconds of work that goes before a job that is not here yet."""
        rounds = self._turns.rounds()
        own_round, rank = rounds.get(job.tenant, 0), self._rules.policy.rank
        place = (job.priority, rank(job, now))
        staying = (run for run in self._running if not self._may_interrupt(job, run, now))
        ahead_s = fsum(map(self._load_s, staying))
        catching_up_s: dict[str, float] = defaultdict(float)
        for other in self._waiting:
            lag = own_round - rounds[other.tenant] if other.priority == job.priority else 0
            if lag >= 0 and (other.priority, rank(other, now)) <= place:
                ahead_s += self._load_s(other)
            elif lag > 0:
                catching_up_s[other.tenant] += self._load_s(other)
        # One that had less goes before whatever it is due, but only until it has had as much.
        return ahead_s + sum(
            min(load_s, ROUND_S * (own_round - rounds[tenant]))
            for tenant, load_s in catching_up_s.items()
        )

    def must_wait_s(self, job: Work, now: float) -> float:
        """Return how long a job has to stay out for those that are here; 0: it need not."""
        if not self._rules.policy.keeps_deadlines:
            return 0.0
        accepted = [self._commitment(other, now) for other in self.jobs]
        error = self._cost_model.picture_error
        return must_wait_s(self._commitment(job, now), accepted, now, error)

    def outlook(self, now: float) -> Outlook:
        """Return how much would go before jobs that come, but for the tenants' turns."""
        due_at = self._rules.policy.due_at
        return Outlook.of(
            Load(job.priority, due_at(job, now) - now, self._load_s(job)) for job in self.jobs
        )

    def _commitment(self, job: Work, now: float) -> Commitment:
        due_at, left_s = self._rules.policy.due_at(job, now), self._cost_model.remaining_s(job)
        return Commitment(job.priority, due_at, job.must_end_at, self._load_s(job), left_s)

    def _load_s(self, job: Work) -> float:
        """Return the seconds that a job's steps add, with its part of what each step costs."""
        num_sharing = 1 if job.runs_alone else self._rules.token_budget // job.num_tokens
        overhead_s = job.num_steps_left * self._cost_model.overhead_s / max(num_sharing, 1)
        return self._cost_model.share_s(job) + overhead_s

    def _part(self) -> None:
        """Let wait who ran with others but must not any more; the aged step is over."""
        if len(self._running) > 1:
            for job in [running for running in self._running if running.runs_alone]:
                self._stop(job)
                self._wait(job)
        if self._aged is not None and self._aged in self._waiting:
            self._waiting.touch(self._aged)
        self._aged = None

    def _take_turns(self) -> None:
        rounds = self._turns.rounds()
        if rounds != self._rounds:
            self._rounds = rounds
            self._waiting.unsort()

    def _fill(self, now: float) -> None:
        """Let waiting jobs in, by their order, as far as there is or may be made room."""
        self._tolerances = self._tolerances_of(self._running, now)
        last = self._last_ranks(now)
        for place, job in self._waiting.first(now):
            victims = self._victims(job, now, may_interrupt=_is_before_any(place, last))
            if victims is not None and self._is_tolerated(job, victims, now):
                self._swap(job, victims)
                self._tolerances = self._tolerances_of(self._running, now)
                last = self._last_ranks(now)
            elif not self._rules.policy.lets_overtake:
                return

    def _place(self, job: WorkT, now: float) -> Place:
        return (job.priority, self._rounds[job.tenant], self._rules.policy.rank(job, now))

    def _last_ranks(self, now: float) -> Ranks:
        """Return where the last of those that run would stand in the line, of each group."""
        last: dict[Group, tuple[float, float]] = {}
        for job in self._running:
            priority, round_, rank = self._place(job, now)
            last[priority, round_] = max(rank, last.get((priority, round_), rank))
        return last

    def _victims(self, job: WorkT, now: float, may_interrupt: bool) -> list[WorkT] | None:
        """Return who must go for a waiting job to run; None if it may not."""
        if not self._running or self._fits(job, self._running, self._num_tokens):
            return []
        if not may_interrupt:
            return None
        left, victims, num_tokens = dict(self._running), list[WorkT](), self._num_tokens
        for running in reversed(self._running):
            if self._may_interrupt(job, running, now):
                del left[running]
                victims.append(running)
                num_tokens -= running.num_tokens
                if not left or self._fits(job, left, num_tokens):
                    return victims
        return None

    def _fits(self, job: WorkT, others: Collection[WorkT], num_tokens: int) -> bool:
        """Whether a job can share a step with others of so many tokens."""
        if job.num_tokens + num_tokens > self._rules.token_budget:
            return False
        return not job.runs_alone and not any(other.runs_alone for other in others)

    def _may_interrupt(self, job: Work, running: Work, now: float) -> bool:
        if job.priority != running.priority:
            return job.priority < running.priority
        # Unknown is who has no job here; its turn is no later than anybody's.
        if self._rounds.get(job.tenant, 0) > self._rounds.get(running.tenant, 0):
            return False
        return self._rules.policy.may_interrupt(job, running, now)

    def _tolerances_of(self, running: Collection[WorkT], now: float) -> Tolerances:
        """Return how much a step of theirs may grow without a deadline being lost."""
        step_s, tolerances = self._cost_model.batch_s(running), dict[Group, float]()
        for job in running:
            num_steps = job.num_steps_left
            deadline_at = self._rules.policy.kept_deadline(job, now + num_steps * step_s)
            group = (job.priority, self._rounds[job.tenant])
            tolerance_s = (deadline_at - now) / num_steps - step_s
            tolerances[group] = min(tolerance_s, tolerances.get(group, inf))
        return tolerances

    def _is_tolerated(self, job: WorkT, victims: Collection[WorkT], now: float) -> bool:
        """Whether those of its class or a higher one, and of no later a turn, can bear with it."""
        tolerances = self._tolerances
        if victims:
            left = [running for running in self._running if running not in victims]
            tolerances = self._tolerances_of(left, now)
        more_s = self._cost_model.s_per_flop * job.step_flops
        group = (job.priority, self._rounds[job.tenant])
        return all(more_s <= most_s for other, most_s in tolerances.items() if other <= group)

    def _swap(self, job: WorkT, victims: Sequence[WorkT]) -> None:
        self._waiting.remove(job)
        for victim in victims:
            self._stop(victim)
            self._wait(victim)
        self._running[job] = None
        self._num_tokens += job.num_tokens

    def _stop(self, job: WorkT) -> None:
        del self._running[job]
        self._num_tokens -= job.num_tokens

    def _wait(self, job: WorkT) -> None:
        self._waiting.add(job)
        starves_at = job.arrived_at + self._rules.ageing.after_s
        self._none_starves_before = min(self._none_starves_before, starves_at)

    def _aged_step(self, now: float) -> Sequence[WorkT]:
        """Return who runs this step where the oldest of the starved gets its share; else nobody."""
        self._aged_steps += self._rules.ageing.share
        if self._aged_steps < 1 or now <= self._none_starves_before:
            return ()
        self._aged = self._oldest_starved(now)
        if self._aged is None:
            return ()
        self._aged_steps = 0.0
        return self._with_neighbours(self._aged)

    def _oldest_starved(self, now: float) -> WorkT | None:
        after_s = self._rules.ageing.after_s
        oldest_at = min((job.arrived_at for job in self._waiting), default=inf)
        self._none_starves_before = oldest_at + after_s
        highest = min((job.priority for job in self._running), default=0)
        may_age_within_class = self._rules.policy.lets_overtake and self._aged_steps >= WITHIN_CLASS
        starved = (
            job
            for job in self._waiting
            if now - job.arrived_at > after_s and (job.priority > highest or may_age_within_class)
        )
        return min(starved, key=lambda job: job.arrived_at, default=None)

    def _with_neighbours(self, job: WorkT) -> Sequence[WorkT]:
        """Return a job with those of the running that can share its step."""
        batch, num_tokens = [job], job.num_tokens
        for running in self._running:
            if self._fits(running, batch, num_tokens):
                batch.append(running)
                num_tokens += running.num_tokens
        return batch

    def _account(self, batch: Sequence[WorkT]) -> None:
        """Share out the step's predicted seconds among the tenants, by their tokens."""
        step_s = self._cost_model.batch_s(batch)
        num_tokens = sum(job.num_tokens for job in batch)
        for job in batch:
            self._turns.serve(job.tenant, step_s * job.num_tokens / num_tokens)


def _is_before_any(place: Place, last: Ranks) -> bool:
    """Whether a policy may let a waiting job interrupt any of those that run.

    It lets only those of a higher class, or of no later a turn and a lower rank.
    """
    priority, own_round, own_rank = place
    return any(
        priority < other or (priority == other and own_round <= round_ and own_rank < rank)
        for (other, round_), rank in last.items()
    )
