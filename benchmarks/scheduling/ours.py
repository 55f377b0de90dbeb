"""The production scheduler on a virtual clock, one for each denoiser, behind production's router.

Each stage has a queue of its own. Nothing is refused, as the monoliths refuse nothing.
"""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from math import ceil, nan

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
from benchmarks.scheduling.router import Router
from benchmarks.scheduling.workload import Request
from serve_app.config import ApiConfig, EngineConfig
from serve_app.engine.cost_model import CostModel
from serve_app.engine.policies import EarliestDeadline, Fcfs, Policy, Srpt
from serve_app.engine.scheduler import Ageing, Rules, Scheduler
from serve_app.engine.work import Work
from serve_app.planning.machine import TEXT_TOKENS
from serve_app.planning.router import REPORT_PERIOD_S
from serve_app.planning.station import Station

DEFAULTS = EngineConfig()
TOKEN_BUDGET = image_tokens(1024) + TEXT_TOKENS
MUST_END_AFTER_S = ApiConfig.model_fields["deadline_s"].default - DEFAULTS.delivery_s
# As in configs/krea-8gpu.yaml.
DENOISERS_PER_VAE, WRITERS_PER_DENOISER = 4, 2
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
    """All stages, and a router that sends each picture to a denoiser."""

    def __init__(self, policy: str, num_denoisers: int, slo_factor: float) -> None:
        self._denoisers = [Denoiser(policy) for _ in range(num_denoisers)]
        self._router = Router(num_denoisers, slo_factor)
        self._encoder = Station(1)
        self._vae = Station(ceil(num_denoisers / DENOISERS_PER_VAE))
        self._writer = Station(WRITERS_PER_DENOISER * num_denoisers)
        self._slo_factor = slo_factor
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = count()
        self._num_left: list[int] = []
        self._done_at: list[float] = []

    def serve(self, requests: Sequence[Request]) -> list[float]:
        """Return when each request is done; NaN would be one without an answer."""
        self._num_left = [request.num_images for request in requests]
        self._done_at = [nan] * len(requests)
        last_at = 0.0
        for number, request in enumerate(requests):
            last_at = self._encoder.done_at(request.arrived_at, ENCODE_S)
            self._at(last_at, partial(self._arrive, number, request))
        self._report(last_at, 0.0)
        while self._events:
            now, _, what = heapq.heappop(self._events)
            what(now)
        return self._done_at

    def _at(self, when: float, what: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (when, next(self._order), what))

    def _report(self, last_at: float, now: float) -> None:
        """Let all denoisers report, and again until the last picture has been sent."""
        outlooks = [denoiser.scheduler.outlook(now) for denoiser in self._denoisers]
        self._router.hear(outlooks, self._denoisers[0].cost_model.s_per_flop, now)
        # With one denoiser there is nothing to choose, whatever it reports.
        if now < last_at and len(self._denoisers) > 1:
            self._at(now + REPORT_PERIOD_S, partial(self._report, last_at))

    def _arrive(self, number: int, request: Request, now: float) -> None:
        for _ in range(request.num_images):
            denoiser = self._denoiser_for(request, now)
            denoiser.scheduler.add(
                picture_of(number, request, now, self._slo_factor, denoiser.cost_model)
            )
            if not denoiser.is_busy:
                self._step(denoiser, now)

    def _denoiser_for(self, request: Request, now: float) -> Denoiser:
        if len(self._denoisers) == 1:
            return self._denoisers[0]
        return self._denoisers[self._router.choose(request.side_px, request.num_steps, now)]

    def _step(self, denoiser: Denoiser, now: float) -> None:
        denoiser.is_busy = bool(denoiser.scheduler.jobs)
        if denoiser.is_busy:
            ends_at, batch = denoiser.start_step(now)
            self._at(ends_at, partial(self._end, denoiser, batch))

    def _end(self, denoiser: Denoiser, batch: Sequence[Picture], now: float) -> None:
        for picture in denoiser.end_step(batch):
            decoded_at = self._vae.done_at(now, VAE_S[picture.side_px])
            self._at(decoded_at, partial(self._write, picture))
        self._step(denoiser, now)

    def _write(self, picture: Picture, now: float) -> None:
        written_at = self._writer.done_at(now, PNG_S[picture.side_px])
        self._at(written_at, partial(self._answer, picture.number))

    def _answer(self, number: int, now: float) -> None:
        self._num_left[number] -= 1
        assert self._num_left[number] >= 0, "a picture was written twice"
        if self._num_left[number] == 0:
            self._done_at[number] = now


def picture_of(
    number: int, request: Request, now: float, slo_factor: float, cost_model: CostModel
) -> Picture:
    """Return one picture of a request, with the deadlines that the engine would give it."""
    picture = Picture(
        number=number,
        side_px=request.side_px,
        num_steps=request.num_steps,
        num_tokens=image_tokens(request.side_px) + TEXT_TOKENS,
        step_flops=step_flops(request.side_px),
        tenant=request.tenant,
        arrived_at=now,
        must_end_at=request.arrived_at + MUST_END_AFTER_S,
    )
    due_at = now + slo_factor * cost_model.solo_s(picture)
    picture.deadline_at = min(due_at, picture.must_end_at)
    return picture
