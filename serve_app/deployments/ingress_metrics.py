"""How an ingress stands, for Prometheus, through Ray's own metrics."""

from ray.serve import metrics

from serve_app.config import ModelConfig
from serve_app.limits.admission import Gatekeeper
from serve_app.model_facts import MODEL_ID
from serve_app.records.recorder import Recorder


class IngressMetrics:
    """Publishes what is there to be seen at any time; requests are counted elsewhere."""

    def __init__(self, model: ModelConfig) -> None:
        self._model = {
            "model": MODEL_ID,
            "weights": model.directory.name if model.path != "embedded" else "embedded",
            "dtype": model.dtype,
            "go_fast": model.go_fast,
        }
        self._model_info = metrics.Gauge(
            "krea_serve_model_info",
            description="Always 1; the labels say what is served.",
            tag_keys=tuple(self._model),
        )
        self._waiting = metrics.Gauge(
            "krea_serve_history_waiting_events",
            description="Events of the history that the database has not taken yet.",
        )
        self._lost = metrics.Gauge(
            "krea_serve_history_lost_events",
            description="Events of the history, since the start, that were given up.",
        )
        self._database_up = metrics.Gauge(
            "krea_serve_database_up",
            description="1, or 0 where the database did not take the history's last write.",
        )
        self._alone = metrics.Gauge(
            "krea_serve_limits_decided_alone",
            description="Requests, since the start, that no Limiter was there to decide on.",
        )

    def publish(self, recorder: Recorder, gatekeeper: Gatekeeper) -> None:
        """Show how an ingress stands now."""
        self._model_info.set(1, self._model)
        self._database_up.set(0 if recorder.is_failing else 1)
        self._waiting.set(recorder.num_waiting)
        self._lost.set(recorder.num_lost)
        self._alone.set(gatekeeper.num_decided_alone)
