"""How long the stages take, for Prometheus, through Ray's own metrics."""

from ray.serve import metrics

BOUNDARIES_S = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0]


class StageMetrics:
    """Publishes what each call of a stage took; Ray adds the names of application and replica."""

    def __init__(self) -> None:
        self._worked = metrics.Histogram(
            "krea_serve_stage_seconds",
            description="Seconds that a stage worked on a picture.",
            boundaries=BOUNDARIES_S,
            tag_keys=("stage",),
        )
        self._waited = metrics.Histogram(
            "krea_serve_stage_queue_seconds",
            description="Seconds that a picture waited within a stage's replica.",
            boundaries=BOUNDARIES_S,
            tag_keys=("stage",),
        )

    def observe(self, stage: str, worked_s: float, waited_s: float) -> None:
        """Count one call of a stage that succeeded."""
        self._worked.observe(worked_s, {"stage": stage})
        self._waited.observe(waited_s, {"stage": stage})
