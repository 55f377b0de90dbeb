"""The stages of an application on a virtual clock; its denoisers may come and go."""

import heapq
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Protocol

from serve_app.planning.denoiser import SLO_FACTOR, Denoiser, Picture, Run
from serve_app.planning.machine import (
    TEXT_TOKENS,
    Machine,
    image_tokens,
    step_flops,
)
from serve_app.planning.router import LeastWork, TwoChoices
from serve_app.planning.station import Station
from serve_app.planning.traffic import Request


@dataclass(frozen=True, slots=True)
class Replicas:
    """How many each stage has.

    Attributes:
        text_encoder: Of `TextEncoder`.
        denoiser: Of `Denoiser`, at the start.
        vae: Of `Vae`.
        image_writer: Of `ImageWriter`, each with one core.
    """

    text_encoder: int
    denoiser: int
    vae: int
    image_writer: int


@dataclass(frozen=True, slots=True)
class View:
    """What a policy sees of the denoisers.

    Attributes:
        now: In seconds.
        num_running: That take pictures.
        target: That were asked for.
        num_pictures: Unfinished, at denoisers or waiting for one.
        work_s: Predicted seconds of all of them.
        accepted_s: Predicted seconds of all that ever came.
    """

    now: float
    num_running: int
    target: int
    num_pictures: int
    work_s: float
    accepted_s: float


class Autoscaler(Protocol):
    """Decides how many denoisers there shall be."""

    period_s: float

    def target(self, view: View) -> int:
        """Return how many there shall be."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run.

    Attributes:
        latencies_s: Of each request, in the order of their arrival.
        denoiser_s: GPU-seconds that were paid for denoisers, from their request to their end.
        num_decisions: How often the number of denoisers was changed.
    """

    latencies_s: Sequence[float]
    denoiser_s: float
    num_decisions: int


class Cluster:
    """An application; each instance runs once.

    While every denoiser has `max_ongoing` pictures, others wait in the order of their arrival.
    """

    def __init__(
        self,
        machine: Machine,
        replicas: Replicas,
        autoscaler: Autoscaler | None = None,
        max_ongoing: int = 64,
        seed: int = 0,
        is_routed_on_work: bool = True,
    ) -> None:
        """Start with some replicas.

        Args:
            machine: What each denoiser runs on.
            replicas: Of each stage.
            autoscaler: Changes the number of denoisers; None: it stays.
            max_ongoing: Pictures that a denoiser may hold.
            seed: Of the router's draws.
            is_routed_on_work: Whether pictures go where production sends them, by the work that is
                reported; if not, to the less busy of two, as Serve sends them by itself.
        """
        self._machine = machine
        self._cost_model = machine.cost_model()
        self._autoscaler = autoscaler
        self._max_ongoing = max_ongoing
        rng = random.Random(seed)  # noqa: S311 - no secret
        self._router = LeastWork(self._cost_model, rng) if is_routed_on_work else TwoChoices(rng)
        self._names = map(str, count())
        self._text_encoder = Station(replicas.text_encoder)
        self._vae = Station(replicas.vae)
        self._image_writer = Station(replicas.image_writer)
        self._running = [self._denoiser(0.0) for _ in range(replicas.denoiser)]
        self._starting: list[Denoiser] = []
        self._waiting: deque[Picture] = deque()
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = count()
        self._denoiser_s = 0.0
        self._num_decisions = 0
        self._accepted_s = 0.0
        self._num_left = 0
        self._done_at: list[float] = []
        self._requests: Sequence[Request] = ()

    def serve(self, requests: Sequence[Request]) -> Outcome:
        """Return what comes of requests, sorted by arrival."""
        self._requests = requests
        self._done_at = [0.0] * len(requests)
        self._num_left = sum(request.kind.num_images for request in requests)
        if requests:
            self._at(requests[0].arrived_at, partial(self._arrive, 0))
        if self._autoscaler is not None:
            self._at(0.0, self._scale)
        now = 0.0
        while self._num_left:
            now, _, what = heapq.heappop(self._events)
            what(now)
        for denoiser in (*self._running, *self._starting):
            self._denoiser_s += now - denoiser.asked_at
        latencies = [
            done_at - request.arrived_at
            for done_at, request in zip(self._done_at, requests, strict=True)
        ]
        return Outcome(latencies, self._denoiser_s, self._num_decisions)

    def _at(self, when: float, what: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (when, next(self._order), what))

    def _arrive(self, number: int, now: float) -> None:
        if number + 1 < len(self._requests):
            self._at(self._requests[number + 1].arrived_at, partial(self._arrive, number + 1))
        encoded_at = self._text_encoder.done_at(now, self._machine.encode_s)
        self._at(encoded_at, partial(self._encoded, number))

    def _encoded(self, number: int, now: float) -> None:
        request = self._requests[number]
        for _ in range(request.kind.num_images):
            picture = self._picture(number, request, now)
            self._accepted_s += self._cost_model.solo_s(picture)
            self._send(picture, now)

    def _denoiser(self, asked_at: float) -> Denoiser:
        return Denoiser(next(self._names), self._cost_model, asked_at)

    def _picture(self, number: int, request: Request, now: float) -> Picture:
        kind = request.kind
        picture = Picture(
            number=number,
            canvas=kind.canvas,
            num_steps=kind.num_steps,
            num_tokens=image_tokens(kind.canvas) + TEXT_TOKENS,
            step_flops=step_flops(kind.canvas),
            tenant=request.tenant,
        )
        picture.arrived_at = now
        picture.deadline_at = now + SLO_FACTOR * self._cost_model.solo_s(picture)
        return picture

    def _send(self, picture: Picture, now: float) -> None:
        denoiser = self._router.choose(picture, self._running, self._max_ongoing, now)
        if denoiser is None:
            self._waiting.append(picture)
            return
        run = denoiser.run
        steps_before = run.num_steps if run is not None else 0
        denoiser.add(picture, now)
        if run is None:
            self._start_run(denoiser, now)
        elif run.num_steps != steps_before:
            self._at(run.ends_at, partial(self._end_run, denoiser, run))

    def _start_run(self, denoiser: Denoiser, now: float) -> None:
        denoiser.start_run(now)
        if denoiser.run is not None:
            self._at(denoiser.run.ends_at, partial(self._end_run, denoiser, denoiser.run))

    def _end_run(self, denoiser: Denoiser, run: Run, now: float) -> None:
        # Steps that were cut short ended at an earlier event, or end at a later one.
        if denoiser.run is not run or run.ends_at != now:
            return
        for picture in denoiser.end_run():
            self._denoised(picture, now)
        while self._waiting and not denoiser.is_leaving and denoiser.num_jobs < self._max_ongoing:
            denoiser.add(self._waiting.popleft(), now)
        if denoiser.num_jobs:
            self._start_run(denoiser, now)
        elif denoiser.is_leaving:
            self._denoiser_s += now - denoiser.asked_at

    def _denoised(self, picture: Picture, now: float) -> None:
        decoded_at = self._vae.done_at(now, self._machine.decoded_s(picture.canvas))
        self._at(decoded_at, partial(self._decoded, picture))

    def _decoded(self, picture: Picture, now: float) -> None:
        done_at = self._image_writer.done_at(now, self._machine.written_s(picture.canvas))
        self._done_at[picture.number] = max(self._done_at[picture.number], done_at)
        self._num_left -= 1

    def _scale(self, now: float) -> None:
        assert self._autoscaler is not None
        self._at(now + self._autoscaler.period_s, self._scale)
        before = len(self._running) + len(self._starting)
        target = self._autoscaler.target(self._view(now))
        self._num_decisions += target != before
        for _ in range(target - before):
            denoiser = self._denoiser(now)
            self._starting.append(denoiser)
            self._at(now + self._machine.start_s, partial(self._ready, denoiser))
        if target < before:
            self._stop(before - target, now)

    def _view(self, now: float) -> View:
        waiting_s = sum(map(self._cost_model.solo_s, self._waiting))
        return View(
            now=now,
            num_running=len(self._running),
            target=len(self._running) + len(self._starting),
            num_pictures=len(self._waiting) + sum(one.num_jobs for one in self._running),
            work_s=waiting_s + sum(one.left_s(now) for one in self._running if one.num_jobs),
            accepted_s=self._accepted_s,
        )

    def _ready(self, denoiser: Denoiser, now: float) -> None:
        if denoiser not in self._starting:
            return
        self._starting.remove(denoiser)
        self._running.append(denoiser)
        while self._waiting and denoiser.num_jobs < self._max_ongoing:
            denoiser.add(self._waiting.popleft(), now)
        if denoiser.num_jobs:
            self._start_run(denoiser, now)

    def _stop(self, number: int, now: float) -> None:
        """End those that have not started yet, then those with the least work, in their time."""
        while number and self._starting:
            self._denoiser_s += now - self._starting.pop().asked_at
            number -= 1
        # All at once: to look for each would take longer than all else where there are thousands.
        leaving = heapq.nsmallest(number, self._running, key=lambda one: one.num_jobs)
        for denoiser in leaving:
            denoiser.is_leaving = True
            if not denoiser.num_jobs:
                self._denoiser_s += now - denoiser.asked_at
        if leaving:
            self._running = [one for one in self._running if not one.is_leaving]
