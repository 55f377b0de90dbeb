"""Serve's own contexts, as its controller makes them."""

from collections.abc import Mapping

from ray.serve._private.common import DeploymentID, ReplicaID, TimeStampedValue
from ray.serve.config import AutoscalingConfig, AutoscalingContext

from serve_app.scaling.reports import EngineWork, PromisedWork

Reports = Mapping[str, Mapping[str, float]]  # replica to number by name

STEP_S, FLOP_S = 0.5, 1e-3


def context(
    name: str,
    reports: Reports | None = None,
    *,
    now: float = 100.0,
    num_running: int = 1,
    target: int = 1,
    num_requests: float = 0.0,
    num_queued: float = 0.0,
    least: int = 0,
    most: int = 9,
) -> AutoscalingContext:
    deployment = DeploymentID(name, "app")
    raw: dict[str, dict[ReplicaID, list[TimeStampedValue]]] = {}
    for replica, numbers in (reports or {}).items():
        for key, value in numbers.items():
            # An older value, which must not count.
            series = [TimeStampedValue(now - 1, 1e6), TimeStampedValue(now, value)]
            raw.setdefault(key, {})[ReplicaID(replica, deployment)] = series
    return AutoscalingContext(
        deployment_id=deployment,
        deployment_name=name,
        app_name="app",
        current_num_replicas=num_running,
        target_num_replicas=target,
        running_replicas=[],
        total_num_requests=num_requests,
        total_queued_requests=num_queued,
        aggregated_metrics={},
        raw_metrics=raw,
        capacity_adjusted_min_replicas=least,
        capacity_adjusted_max_replicas=most,
        policy_state={},
        last_scale_up_time=None,
        last_scale_down_time=None,
        current_time=now,
        config=AutoscalingConfig(min_replicas=0, max_replicas=9, target_ongoing_requests=4),
    )


def engine(num_jobs: float, left_s: float) -> dict[str, float]:
    return EngineWork(num_jobs, left_s, STEP_S, FLOP_S).numbers()


def promised(num_pictures: float, num_steps: float, flops: float) -> dict[str, float]:
    return PromisedWork(num_pictures, num_steps, flops).numbers()
