"""Ray Serve's default policy, by its own functions, on a virtual clock."""

from collections import deque
from typing import Any

from ray.serve._private.common import DeploymentID
from ray.serve.autoscaling_policy import (
    _apply_delay_logic,
    _apply_scaling_factors,
    replica_queue_length_autoscaling_policy,
)
from ray.serve.config import AutoscalingConfig, AutoscalingContext

from serve_app.planning.cluster import View

RECORDED_SHARE = 0.2  # of the look-back period, between two samples: Serve's own default


class RayDefault:
    """Two ongoing requests per replica, a mean of 30 s, 30 s until up, 600 s until down.

    All of these are the defaults of `AutoscalingConfig`. Requests are sampled and sent to the
    controller as often as Serve does both; its loop runs once a second here, not ten times.
    """

    period_s = 1.0

    def __init__(self, least: int, most: int) -> None:
        self._config = AutoscalingConfig(min_replicas=least, max_replicas=most)
        self._samples: deque[tuple[float, float]] = deque()
        self._reported = 0.0
        self._reported_at = 0.0
        self._state: dict[str, Any] = {}

    def target(self, view: View) -> int:
        """Return how many denoisers there shall be."""
        self._sample(view)
        context = self._context(view)
        wanted, _ = replica_queue_length_autoscaling_policy(context)
        if view.num_running > 0:
            # As `_apply_default_params` does, which would read the real clock.
            wanted = _apply_scaling_factors(wanted, view.num_running, self._config)
            wanted, self._state = _apply_delay_logic(
                max(0, wanted), view.target, self._config, self._state, view.now
            )
        return int(max(self._config.min_replicas, min(self._config.max_replicas, wanted)))

    def _sample(self, view: View) -> None:
        look_back_s = self._config.look_back_period_s
        if not self._samples or view.now - self._samples[-1][0] >= RECORDED_SHARE * look_back_s:
            self._samples.append((view.now, view.num_pictures))
        while self._samples[0][0] < view.now - look_back_s:
            self._samples.popleft()
        if view.now - self._reported_at >= self._config.metrics_interval_s:
            self._reported_at = view.now
            self._reported = sum(number for _, number in self._samples) / len(self._samples)

    def _context(self, view: View) -> AutoscalingContext:
        return AutoscalingContext(
            deployment_id=DeploymentID("Denoiser", "krea-serve"),
            deployment_name="Denoiser",
            app_name="krea-serve",
            current_num_replicas=view.num_running,
            target_num_replicas=view.target,
            running_replicas=[],
            total_num_requests=self._reported,
            total_queued_requests=0.0,
            aggregated_metrics={},
            raw_metrics={},
            capacity_adjusted_min_replicas=self._config.min_replicas,
            capacity_adjusted_max_replicas=self._config.max_replicas,
            policy_state=self._state,
            last_scale_up_time=None,
            last_scale_down_time=None,
            current_time=view.now,
            config=self._config,
        )
