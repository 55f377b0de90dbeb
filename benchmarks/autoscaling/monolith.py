"""What users have today: each replica is a whole FluxPipeline, on a virtual clock.

A replica takes its requests one after the other, and the pictures of a request too, from prompt to
PNG. Serve's router sends a request to the less loaded of two, and keeps it while all are full.
"""

import heapq
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count

from serve_app.planning.capacity import denoise_s
from serve_app.planning.cluster import Autoscaler, Outcome, View
from serve_app.planning.machine import Machine
from serve_app.planning.traffic import Kind, Request

MAX_ONGOING = 5  # Serve's default `max_ongoing_requests`
DENOISER_GB, PIPELINE_GB = 23.80, 33.74  # of bfloat16 weights
DISK_GB_PER_S = 2.0


def busy_s(kind: Kind, machine: Machine) -> float:
    """Return how long a replica has to do with a request."""
    after = machine.decoded_s(kind.canvas) + machine.written_s(kind.canvas)
    return machine.encode_s + denoise_s(kind, machine) + kind.num_images * after


def as_monolith(machine: Machine) -> Machine:
    """Return a machine whose replicas load all weights: that part of the start grows with them."""
    load_s = min(DENOISER_GB / DISK_GB_PER_S, machine.start_s)
    return replace(machine, start_s=machine.start_s + load_s * (PIPELINE_GB / DENOISER_GB - 1))


@dataclass(slots=True, eq=False)
class Replica:
    """One FluxPipeline.

    Attributes:
        asked_at: Since when it is paid for.
        free_at: When it has done all it took.
        num_ongoing: Requests that it has.
    """

    asked_at: float
    free_at: float = 0.0
    num_ongoing: int = 0


class Monoliths:
    """Replicas that come and go; each instance runs once."""

    def __init__(
        self, machine: Machine, num_replicas: int, autoscaler: Autoscaler, seed: int = 0
    ) -> None:
        self._machine = as_monolith(machine)
        self._autoscaler = autoscaler
        self._rng = random.Random(seed)  # noqa: S311 - no secret
        self._running = [Replica(0.0) for _ in range(num_replicas)]
        self._starting: list[Replica] = []
        self._waiting: deque[int] = deque()
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = count()
        self._paid_s = 0.0
        self._num_decisions = 0
        self._requests: Sequence[Request] = ()
        self._latencies_s: list[float] = []
        self._num_left = 0

    def serve(self, requests: Sequence[Request]) -> Outcome:
        """Return what comes of requests; `denoiser_s` is of whole replicas."""
        self._requests = requests
        self._latencies_s = [0.0] * len(requests)
        self._num_left = len(requests)
        for number, request in enumerate(requests):
            self._at(request.arrived_at, partial(self._arrive, number))
        self._at(0.0, self._scale)
        now = 0.0
        while self._num_left:
            now, _, what = heapq.heappop(self._events)
            what(now)
        self._paid_s += sum(now - each.asked_at for each in (*self._running, *self._starting))
        return Outcome(self._latencies_s, self._paid_s, self._num_decisions)

    def _at(self, when: float, what: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (when, next(self._order), what))

    def _arrive(self, number: int, now: float) -> None:
        replica = self._chosen()
        if replica is None:
            self._waiting.append(number)
        else:
            self._take(replica, number, now)

    def _chosen(self) -> Replica | None:
        """Return the less loaded of two; None while all are full."""
        if not self._running:
            return None
        pair = (self._rng.choice(self._running), self._rng.choice(self._running))
        best = min(pair, key=lambda one: one.num_ongoing)
        if best.num_ongoing >= MAX_ONGOING:
            best = min(self._running, key=lambda one: one.num_ongoing)
        return best if best.num_ongoing < MAX_ONGOING else None

    def _take(self, replica: Replica, number: int, now: float) -> None:
        replica.num_ongoing += 1
        begins_at = max(now, replica.free_at)
        replica.free_at = begins_at + busy_s(self._requests[number].kind, self._machine)
        self._at(replica.free_at, partial(self._done, replica, number))

    def _done(self, replica: Replica, number: int, now: float) -> None:
        replica.num_ongoing -= 1
        self._latencies_s[number] = now - self._requests[number].arrived_at
        self._num_left -= 1
        if replica in self._running:
            self._fill(replica, now)

    def _fill(self, replica: Replica, now: float) -> None:
        while self._waiting and replica.num_ongoing < MAX_ONGOING:
            self._take(replica, self._waiting.popleft(), now)

    def _scale(self, now: float) -> None:
        self._at(now + self._autoscaler.period_s, self._scale)
        before = len(self._running) + len(self._starting)
        target = self._autoscaler.target(self._view(now, before))
        self._num_decisions += target != before
        for _ in range(target - before):
            replica = Replica(now)
            self._starting.append(replica)
            self._at(now + self._machine.start_s, partial(self._ready, replica))
        for _ in range(before - target):
            self._stop_one(now)

    def _view(self, now: float, target: int) -> View:
        """Return what Ray's default policy reads: of requests, which are what Serve counts."""
        num_ongoing = sum(one.num_ongoing for one in self._running)
        return View(now, len(self._running), target, len(self._waiting) + num_ongoing, 0.0, 0.0)

    def _ready(self, replica: Replica, now: float) -> None:
        if replica in self._starting:
            self._starting.remove(replica)
            self._running.append(replica)
            self._fill(replica, now)

    def _stop_one(self, now: float) -> None:
        """End one that has not started yet, or else the one with the fewest requests, in time."""
        if self._starting:
            self._paid_s += now - self._starting.pop().asked_at
            return
        replica = min(self._running, key=lambda one: one.num_ongoing)
        self._running.remove(replica)
        self._paid_s += max(now, replica.free_at) - replica.asked_at
