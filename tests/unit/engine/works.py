"""Jobs without tensors, in whole seconds: a step of `seconds` takes so many."""

from dataclasses import dataclass
from math import inf

from serve_app.engine.cost_model import CostModel
from serve_app.engine.policies import EarliestDeadline, Policy
from serve_app.engine.scheduler import Ageing, Rules, Scheduler
from serve_app.engine.work import Work
from serve_app.messages import Priority

NO_AGEING = Ageing(after_s=inf, share=0.0)


@dataclass(slots=True, eq=False, kw_only=True)
class Named(Work):
    """Work with a name, for what a test says."""

    name: str

    def __repr__(self) -> str:
        return self.name


def work(
    name: str,
    *,
    num_steps: int = 10,
    seconds: float = 1.0,
    num_tokens: int = 100,
    due: float = inf,
    arrived: float = 0.0,
    priority: Priority = Priority.STANDARD,
    tenant: str = "",
    runs_alone: bool = False,
) -> Named:
    return Named(
        name=name,
        num_steps=num_steps,
        num_tokens=num_tokens,
        step_flops=seconds,
        priority=priority,
        tenant=tenant,
        arrived_at=arrived,
        deadline_at=due,
        runs_alone=runs_alone,
    )


def cost_model(overhead_s: float = 0.0) -> CostModel:
    """One operation takes one second."""
    return CostModel(1.0, overhead_s)


def scheduler(
    *jobs: Named,
    policy: Policy | None = None,
    budget: int = 100,
    ageing: Ageing = NO_AGEING,
    overhead_s: float = 0.0,
    error: float = 0.0,
) -> Scheduler[Named]:
    model = cost_model(overhead_s)
    model.judge(predicted_s=1 + error, own_s=1.0)
    made: Scheduler[Named] = Scheduler(
        model, Rules(policy or EarliestDeadline(model), budget, ageing)
    )
    for job in jobs:
        made.add(job)
    return made


def names(scheduler: Scheduler[Named], now: float = 0.0) -> str:
    return " ".join(job.name for job in scheduler.pick(now))


def step(
    scheduler: Scheduler[Named], now: float, done: dict[str, float], overhead_s: float = 0.0
) -> float:
    """Run one step; note when each job that it ends was done, and return when it is over."""
    batch = scheduler.pick(now)
    now += overhead_s + sum(job.step_flops for job in batch)
    for job in batch:
        job.num_steps_done += 1
        if job.is_done:
            scheduler.remove(job)
            done[job.name] = now
    return now


def run(
    scheduler: Scheduler[Named], until: float = inf, overhead_s: float = 0.0
) -> dict[str, float]:
    """Run steps on a virtual clock; return when each job was done."""
    now = 0.0
    done: dict[str, float] = {}
    while scheduler.jobs and now < until:
        now = step(scheduler, now, done, overhead_s)
    return done
