"""The engine's figures for Prometheus, through Ray's own metrics."""

from ray.serve import metrics

from serve_app.deployments.device_metrics import DeviceMetrics
from serve_app.engine.stats import EngineStats


class EngineMetrics:
    """Publishes what `EngineStats` say; Ray adds the names of application and replica."""

    def __init__(self) -> None:
        self._jobs = metrics.Gauge(
            "krea_serve_denoiser_jobs", description="Unfinished pictures of a denoiser."
        )
        self._left = metrics.Gauge(
            "krea_serve_denoiser_left_seconds",
            description="Predicted seconds of all steps that its pictures have left.",
        )
        self._steps = metrics.Counter(
            "krea_serve_denoiser_steps", description="Steps that ran, whatever shared them."
        )
        self._picture_steps = metrics.Counter(
            "krea_serve_denoiser_picture_steps", description="Steps of pictures."
        )
        self._error = metrics.Gauge(
            "krea_serve_denoiser_step_error_ratio",
            description="Recent mean of |predicted - measured| / measured of a step's seconds.",
        )
        self._picture_error = metrics.Gauge(
            "krea_serve_denoiser_picture_error_ratio",
            description="Recent mean of |predicted - measured| / measured of a picture's seconds.",
        )
        self._budget = metrics.Gauge(
            "krea_serve_denoiser_token_budget", description="Tokens that one step may have."
        )
        self._recompiles = metrics.Gauge(
            "krea_serve_denoiser_recompiles",
            description="Graphs compiled in service, while pictures waited; 0 is as it should be.",
        )
        self._device = DeviceMetrics()
        self._published = EngineStats(0, 0.0, 0, 0, 0.0, 0, 0.0, 0.0)

    def publish(self, stats: EngineStats) -> None:
        """Show how the engine stands now."""
        before, self._published = self._published, stats
        self._device.publish()
        self._jobs.set(stats.num_jobs)
        self._left.set(stats.left_s)
        self._error.set(stats.step_error)
        self._picture_error.set(stats.picture_error)
        self._budget.set(stats.token_budget)
        self._recompiles.set(stats.num_recompiles)
        # A counter refuses to be raised by nothing.
        if stats.num_steps > before.num_steps:
            self._steps.inc(stats.num_steps - before.num_steps)
            self._picture_steps.inc(stats.num_picture_steps - before.num_picture_steps)
