"""The production scheduler on a virtual clock: one for each denoiser."""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count

from benchmarks.scheduling.machine import (
    ENCODE_S,
    FLOPS_PER_S,
    OVERHEAD_S,
    PNG_S,
    VAE_S,
    image_tokens,
    mixed_step_s,
    step_flops,
)
from benchmarks.scheduling.workload import Request
from serve_app.config import EngineConfig
from serve_app.engine.cost_model import CostModel
from serve_app.engine.policies import EarliestDeadline, Fcfs, Policy, Srpt
from serve_app.engine.scheduler import Ageing, Rules, Scheduler
from serve_app.engine.work import Work
from serve_app.planning.machine import TEXT_TOKENS

DEFAULTS = EngineConfig()
TOKEN_BUDGET = image_tokens(1024) + TEXT_TOKENS
AGEING = Ageing(DEFAULTS.starved_after_s, DEFAULTS.starved_share)

POLICIES: dict[str, Callable[[CostModel], Policy]] = {
    "deadline": EarliestDeadline,
    "srpt": Srpt,
    "fcfs": lambda _: Fcfs(),
}


@dataclass(slots=True, eq=False, kw_only=True)
class Picture(Work):
    """One picture of a request."""

    number: int
    side_px: int


class Denoiser:
    """One engine without its model: the scheduler picks, time passes."""

    def __init__(self, policy: str) -> None:
        self.cost_model = CostModel(1 / FLOPS_PER_S, OVERHEAD_S)
        self.scheduler: Scheduler[Picture] = Scheduler(
            self.cost_model, Rules(POLICIES[policy](self.cost_model), TOKEN_BUDGET, AGEING)
        )
        self.is_busy = False

    def left_s(self) -> float:
        """Return the seconds of all its work."""
        return sum(map(self.cost_model.remaining_s, self.scheduler.jobs))

    def start_step(self, now: float) -> tuple[float, Sequence[Picture]]:
        """Return when the next step ends, and whose it is."""
        batch = self.scheduler.pick(now)
        seconds = mixed_step_s(tuple(sorted(picture.side_px for picture in batch)))
        self.cost_model.observe(sum(picture.step_flops for picture in batch), seconds)
        return now + seconds, batch

    def end_step(self, batch: Sequence[Picture]) -> list[Picture]:
        """Count a step; return the pictures that are done."""
        done = []
        for picture in batch:
            picture.num_steps_done += 1
            if picture.is_done:
                self.scheduler.remove(picture)
                done.append(picture)
        return done


def serve(
    policy: str, requests: Sequence[Request], num_denoisers: int, slo_factor: float
) -> list[float]:
    """Return when each request is done: encoded, denoised, decoded and written on its way."""
    return Cluster(policy, num_denoisers, slo_factor).serve(requests)


class Cluster:
    """Denoisers, and a router that sends each picture where the least work goes before it."""

    def __init__(self, policy: str, num_denoisers: int, slo_factor: float) -> None:
        self._denoisers = [Denoiser(policy) for _ in range(num_denoisers)]
        self._slo_factor = slo_factor
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = count()
        self._done_at: list[float] = []

    def serve(self, requests: Sequence[Request]) -> list[float]:
        """Return when each request is done."""
        self._done_at = [0.0] * len(requests)
        for number, request in enumerate(requests):
            self._at(request.arrived_at + ENCODE_S, partial(self._arrive, number, request))
        while self._events:
            now, _, what = heapq.heappop(self._events)
            what(now)
        return self._done_at

    def _at(self, when: float, what: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (when, next(self._order), what))

    def _arrive(self, number: int, request: Request, now: float) -> None:
        for _ in range(request.num_images):
            picture = picture_of(number, request, now, self._slo_factor)
            denoiser = min(
                self._denoisers, key=lambda one: (one.scheduler.ahead_s(picture, now), one.left_s())
            )
            denoiser.scheduler.add(picture)
            if not denoiser.is_busy:
                self._step(denoiser, now)

    def _step(self, denoiser: Denoiser, now: float) -> None:
        denoiser.is_busy = bool(denoiser.scheduler.jobs)
        if denoiser.is_busy:
            ends_at, batch = denoiser.start_step(now)
            self._at(ends_at, partial(self._end, denoiser, batch))

    def _end(self, denoiser: Denoiser, batch: Sequence[Picture], now: float) -> None:
        for picture in denoiser.end_step(batch):
            written_at = now + VAE_S[picture.side_px] + PNG_S[picture.side_px]
            self._done_at[picture.number] = max(self._done_at[picture.number], written_at)
        self._step(denoiser, now)


def picture_of(number: int, request: Request, now: float, slo_factor: float) -> Picture:
    """Return one picture of a request, as the engine would take it in."""
    after_s = VAE_S[request.side_px] + PNG_S[request.side_px]
    return Picture(
        number=number,
        side_px=request.side_px,
        num_steps=request.num_steps,
        num_tokens=image_tokens(request.side_px) + TEXT_TOKENS,
        step_flops=step_flops(request.side_px),
        tenant=request.tenant,
        arrived_at=now,
        deadline_at=request.deadline_at(slo_factor) - after_s,
    )
