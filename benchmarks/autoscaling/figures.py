"""What a system's outcome comes to: GPU-seconds for each picture, and the seconds of requests."""

from collections.abc import Sequence
from dataclasses import dataclass

from serve_app.planning.cluster import Outcome
from serve_app.planning.station import percentile
from serve_app.planning.traffic import Request, num_images


@dataclass(frozen=True, slots=True)
class Figures:
    """Cost and latencies of one system.

    Attributes:
        gpu_s: GPU-seconds per picture, those of all stages together.
        denoiser_s: Those of denoisers alone; of whole replicas where nothing is apart.
        p50_s: Latency of a request.
        p95_s: The same.
        p99_s: The same.
        num_decisions: How often the number of replicas was changed.
    """

    gpu_s: float
    denoiser_s: float
    p50_s: float
    p95_s: float
    p99_s: float
    num_decisions: int


def figures(requests: Sequence[Request], outcome: Outcome, shared_gpu: float) -> Figures:
    """Return the figures of an outcome.

    Args:
        requests: That were served.
        outcome: Of them, in their order.
        shared_gpu: Fraction of a GPU that was taken from the beginning until the last answer.
    """
    ends_at = max(
        request.arrived_at + latency_s
        for request, latency_s in zip(requests, outcome.latencies_s, strict=True)
    )
    denoiser_s = outcome.denoiser_s / num_images(requests)
    return Figures(
        gpu_s=denoiser_s + shared_gpu * ends_at / num_images(requests),
        denoiser_s=denoiser_s,
        p50_s=percentile(outcome.latencies_s, 0.5),
        p95_s=percentile(outcome.latencies_s, 0.95),
        p99_s=percentile(outcome.latencies_s, 0.99),
        num_decisions=outcome.num_decisions,
    )
