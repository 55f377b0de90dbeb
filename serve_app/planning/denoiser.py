"""One denoiser on a virtual clock: the production scheduler picks, the cost model says how long."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil, inf

from serve_app.config import EngineConfig
from serve_app.engine.cost_model import CostModel
from serve_app.engine.outlook import Outlook
from serve_app.engine.policies import EarliestDeadline
from serve_app.engine.scheduler import Ageing, Rules, Scheduler
from serve_app.engine.work import Work
from serve_app.messages import Size
from serve_app.planning.machine import TEXT_TOKENS, image_tokens

# Of one picture of 1024x1024: more in a step would make none of them come sooner.
TOKEN_BUDGET = image_tokens(Size(1024, 1024)) + TEXT_TOKENS
DEFAULTS = EngineConfig()
SLO_FACTOR = DEFAULTS.slo_factor
AGEING = Ageing(DEFAULTS.starved_after_s, DEFAULTS.starved_share)


@dataclass(slots=True, eq=False, kw_only=True)
class Picture(Work):
    """One picture of a request.

    Attributes:
        number: Of the request.
        canvas: Its size.
    """

    number: int
    canvas: Size


@dataclass(slots=True)
class Run:
    """Steps of one batch in a row.

    Attributes:
        began_at: In seconds.
        step_s: Of each step.
        num_steps: Of them.
        batch: Who is in them.
    """

    began_at: float
    step_s: float
    num_steps: int
    batch: tuple[Picture, ...]

    @property
    def ends_at(self) -> float:
        """When its last step is over."""
        return self.began_at + self.num_steps * self.step_s

    @contextmanager
    def counted(self, now: float) -> Iterator[None]:
        """Let the pictures have the steps that are over by now, for as long as this is open."""
        num_over = min(int((now - self.began_at) / self.step_s), self.num_steps)
        for picture in self.batch:
            picture.num_steps_done += num_over
        yield
        for picture in self.batch:
            picture.num_steps_done -= num_over


class Denoiser:
    """An engine without its model.

    Attributes:
        name: No other has it.
        asked_at: Since when it is paid for.
        ended_at: Until when; inf while it runs.
        num_jobs: Unfinished pictures.
        is_leaving: Whether it ends with its last picture and takes no more.
        run: The steps it is in; None while it has nothing to do.
    """

    def __init__(self, name: str, cost_model: CostModel, asked_at: float) -> None:
        self.name = name
        self.asked_at = asked_at
        self.ended_at = inf
        self.num_jobs = 0
        self.is_leaving = False
        self.run: Run | None = None
        self._cost_model = cost_model
        self._scheduler: Scheduler[Picture] = Scheduler(
            cost_model, Rules(EarliestDeadline(cost_model), TOKEN_BUDGET, AGEING)
        )

    def left_s(self, now: float) -> float:
        """Return the predicted seconds of all its work."""
        remaining_s = sum(map(self._cost_model.remaining_s, self._scheduler.jobs))
        if self.run is None:
            return remaining_s
        return remaining_s - len(self.run.batch) * (now - self.run.began_at)

    def outlook(self, now: float) -> Outlook:
        """Return what it would report."""
        if self.run is None:
            return self._scheduler.outlook(now)
        # Its steps are counted when the run is over.
        with self.run.counted(now):
            return self._scheduler.outlook(now)

    def add(self, picture: Picture, now: float) -> None:
        """Take a picture; one that runs steps looks up after the step it is in."""
        self._scheduler.add(picture)
        self.num_jobs += 1
        if self.run is not None:
            begun = ceil((now - self.run.began_at) / self.run.step_s)
            self.run.num_steps = min(self.run.num_steps, max(begun, 1))

    def start_run(self, now: float) -> None:
        """Begin the next steps, of whom the scheduler picks."""
        batch = tuple(self._scheduler.pick(now))
        if not batch:
            self.run = None
            return
        # With nobody waiting the choice stays as it is until one of them is done.
        nobody_waits = len(batch) == self.num_jobs
        num_steps = min(p.num_steps_left for p in batch) if nobody_waits else 1
        self.run = Run(now, self._cost_model.batch_s(batch), num_steps, batch)

    def end_run(self) -> list[Picture]:
        """Count the steps that are over; return the pictures that are done."""
        assert self.run is not None
        done = []
        for picture in self.run.batch:
            picture.num_steps_done += self.run.num_steps
            if picture.is_done:
                self._scheduler.remove(picture)
                self.num_jobs -= 1
                done.append(picture)
        self.run = None
        return done
