"""What a simulated run is judged by."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from benchmarks.scheduling.workload import Load, Request

# When each request is done: of requests, replicas and the factor of their deadlines.
Serve = Callable[[Sequence[Request], int, float], list[float]]

GOOD_SHARE = 0.9
SEEDS = (1, 2, 3)
HIGHEST_LOAD = 1.6
NUM_HALVINGS = 9  # steps of .003: a load of .16 is known to 2 %


@dataclass(frozen=True, slots=True)
class Quality:
    """How well requests were served.

    Attributes:
        in_time: Share of the requests that met their deadline.
        work_in_time: The same, each weighted by its seconds of denoising.
        mean_s: Mean latency.
        p50_s: Median latency.
        p99_s: 99th percentile of the latency.
        p99_slowdown: 99th percentile of latency over the time alone.
        max_slowdown: The largest.
    """

    in_time: float
    work_in_time: float
    mean_s: float
    p50_s: float
    p99_s: float
    p99_slowdown: float
    max_slowdown: float


def quality(requests: Sequence[Request], done_at: Sequence[float], slo_factor: float) -> Quality:
    """Return how well requests were served that were done at these times."""
    pairs = list(zip(requests, done_at, strict=True))
    met = [request for request, done in pairs if done <= request.deadline_at(slo_factor)]
    latencies = sorted(done - request.arrived_at for request, done in pairs)
    slowdowns = sorted((done - request.arrived_at) / request.isolated_s for request, done in pairs)
    return Quality(
        in_time=len(met) / len(pairs),
        work_in_time=sum(r.denoise_s for r in met) / sum(r.denoise_s for r in requests),
        mean_s=fmean(latencies),
        p50_s=latencies[len(pairs) // 2],
        p99_s=latencies[int(0.99 * len(pairs))],
        p99_slowdown=slowdowns[int(0.99 * len(pairs))],
        max_slowdown=slowdowns[-1],
    )


@dataclass(frozen=True, slots=True)
class Scenario:
    """Traffic on some denoisers.

    Attributes:
        load: The traffic.
        num_denoisers: Or monoliths, of one GPU each.
        slo_factor: A request is in time within so many times its time alone, and half a second.
        horizon_s: How long requests come.
    """

    load: Load
    num_denoisers: int
    slo_factor: float
    horizon_s: float

    @property
    def name(self) -> str:
        """What the table calls it."""
        arrivals = "Poisson" if self.load.variation == 1 else f"CV {self.load.variation:g}"
        return f"{self.num_denoisers} x, {self.load.name}, {arrivals}, {self.slo_factor:g} x SLO"

    def in_time(self, serve: Serve, rate: float) -> float:
        """Return the share of requests in time at a mean rate, over all seeds."""
        shares = []
        for seed in SEEDS:
            requests = self.load.requests(rate, self.horizon_s, seed)
            done_at = serve(requests, self.num_denoisers, self.slo_factor)
            shares.append(quality(requests, done_at, self.slo_factor).in_time)
        return fmean(shares)

    def capacity(self, serve: Serve) -> float:
        """Return the highest load with 90 % in time, as a share of what saturates the denoisers."""
        saturation = self.load.saturation_rate(self.num_denoisers)
        low, high = 0.0, HIGHEST_LOAD
        for _ in range(NUM_HALVINGS):
            middle = (low + high) / 2
            is_good = self.in_time(serve, middle * saturation) >= GOOD_SHARE
            low, high = (middle, high) if is_good else (low, middle)
        return low
