"""What the image store fails to do, for Prometheus, through Ray's own metrics."""

from ray.serve import metrics

from serve_app.storage.store import Operation


class StorageMetrics:
    """Counts the failures of one replica's image store."""

    def __init__(self) -> None:
        self._errors = metrics.Counter(
            "krea_serve_storage_errors",
            description="What the image store failed to do, also where it was tried again.",
            tag_keys=("operation",),
        )

    def failed(self, operation: Operation) -> None:
        """Count one failure."""
        self._errors.inc(1, {"operation": operation})
