"""Loops that choose which pictures run the next step: production's, and simpler ones."""

from collections.abc import Callable, Sequence

from serve_app.config import EngineConfig
from serve_app.engine.cost_model import CostModel
from serve_app.engine.job import Job
from serve_app.engine.policies import policy_named
from serve_app.engine.runner import Ran
from serve_app.engine.scheduler import Ageing, Rules, Scheduler

CONFIG = EngineConfig()  # production's own, where no file says otherwise

Pick = Callable[[float], Sequence[Job]]


class OurLoop:
    """The production scheduler, with the rules of production's default."""

    def __init__(self, cost_model: CostModel, token_budget: int) -> None:
        self._cost_model = cost_model
        policy = policy_named(CONFIG.policy, cost_model)
        ageing = Ageing(CONFIG.starved_after_s, CONFIG.starved_share)
        self._scheduler: Scheduler[Job] = Scheduler(cost_model, Rules(policy, token_budget, ageing))
        self.remove = self._scheduler.remove
        self.pick: Pick = self._scheduler.pick

    def add(self, job: Job) -> None:
        """Take a job in; it is due as the engine says."""
        job.deadline_at = job.arrived_at + CONFIG.slo_factor * self._cost_model.solo_s(job)
        self._scheduler.add(job)

    def learn(self, ran: Sequence[Ran]) -> None:
        """Predict better from now on, as the engine does after each step."""
        for one in ran:
            one.teach(self._cost_model)


class BatchLoop:
    """Batches of pictures alike, first come, first served, each run to its last picture's end."""

    def __init__(self, max_batch: int) -> None:
        self._max_batch = max_batch
        self._waiting: list[Job] = []
        self._batch: list[Job] = []

    def add(self, job: Job) -> None:
        """Take a job in."""
        self._waiting.append(job)

    def learn(self, ran: Sequence[Ran]) -> None:
        """Do nothing: it predicts nothing."""

    def remove(self, job: Job) -> None:
        """Forget a job that is done."""
        self._batch.remove(job)

    def pick(self, now: float) -> Sequence[Job]:
        """Return what is left of the batch, or a new one once it is done."""
        if not self._batch and self._waiting:
            alike = [job for job in self._waiting if job.num_tokens == self._waiting[0].num_tokens]
            self._batch = alike[: self._max_batch]
            self._waiting = [job for job in self._waiting if job not in self._batch]
        return list(self._batch)


Loop = OurLoop | BatchLoop
