"""What others do: a replica that does everything of a request before it takes the next.

Their queue is one for all replicas, which is more than a load balancer has in front of them.
"""

import heapq
from collections import deque
from collections.abc import Callable, Sequence
from itertools import count

from benchmarks.scheduling.machine import ENCODE_S, PNG_S, VAE_S, step_s
from benchmarks.scheduling.workload import Request

# What a free replica takes from the queue, at a time: at least one request if there is any.
Take = Callable[[float], list[Request]]

MAX_BATCH = 4
MAX_SEARCHED = 64


class FcfsQueue:
    """First come, first served, one request at a time."""

    def __init__(self, slo_factor: float) -> None:
        self._queue: deque[Request] = deque()

    def put(self, request: Request) -> None:
        """Queue a request."""
        self._queue.append(request)

    def take(self, now: float) -> list[Request]:
        """Return the request that came first."""
        return [self._queue.popleft()] if self._queue else []


class BatchQueue(FcfsQueue):
    """First come, first served, with as many alike as fit into a batch; it runs to completion."""

    def take(self, now: float) -> list[Request]:
        """Return the request that came first and those near it of its size and steps."""
        batch = super().take(now)
        if batch:
            first, num_images = batch[0], batch[0].num_images
            for other in list(self._queue)[:MAX_SEARCHED]:
                is_alike = (other.side_px, other.num_steps) == (first.side_px, first.num_steps)
                if is_alike and num_images + other.num_images <= MAX_BATCH:
                    self._queue.remove(other)
                    batch.append(other)
                    num_images += other.num_images
        return batch


class DeadlineQueue:
    """Earliest deadline first; what cannot make it goes behind all that can, the shortest first."""

    def __init__(self, slo_factor: float) -> None:
        self._slo_factor = slo_factor
        self._number = count()
        self._in_time: list[tuple[float, int, Request]] = []
        self._late: list[tuple[float, int, Request]] = []

    def put(self, request: Request) -> None:
        """Queue a request."""
        key = request.deadline_at(self._slo_factor) - 0.5 * request.isolated_s
        heapq.heappush(self._in_time, (key, next(self._number), request))

    def take(self, now: float) -> list[Request]:
        """Return the request that is due first."""
        while self._in_time:
            request = heapq.heappop(self._in_time)[2]
            if now + busy_s([request]) <= request.deadline_at(self._slo_factor):
                return [request]
            heapq.heappush(self._late, (busy_s([request]), next(self._number), request))
        return [heapq.heappop(self._late)[2]] if self._late else []


Queue = type[FcfsQueue] | type[DeadlineQueue]


def busy_s(batch: Sequence[Request]) -> float:
    """Return how long a replica is busy with a batch, from prompt to PNG."""
    first = batch[0]
    num_images = sum(request.num_images for request in batch)
    after = VAE_S[first.side_px] + PNG_S[first.side_px]
    denoise_s = first.num_steps * step_s(first.side_px, num_images)
    return ENCODE_S * len(batch) + denoise_s + num_images * after


def serve_by(
    queue_type: Queue, requests: Sequence[Request], num_replicas: int, slo_factor: float
) -> list[float]:
    """Return when each request is done, on replicas that share one queue."""
    queue = queue_type(slo_factor)
    number_of = {id(request): number for number, request in enumerate(requests)}
    done_at = [0.0] * len(requests)
    free_at = [0.0] * num_replicas
    arrivals = deque(requests)
    num_queued = 0
    while arrivals or num_queued:
        now = heapq.heappop(free_at)
        if not num_queued:
            now = max(now, arrivals[0].arrived_at)
        while arrivals and arrivals[0].arrived_at <= now:
            queue.put(arrivals.popleft())
            num_queued += 1
        batch = queue.take(now)
        num_queued -= len(batch)
        ends_at = now + busy_s(batch)
        for request in batch:
            done_at[number_of[id(request)]] = ends_at
        heapq.heappush(free_at, ends_at)
    return done_at
