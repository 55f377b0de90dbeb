"""How much of a GPU's memory a replica takes, for Prometheus, through Ray's own metrics."""

import torch
from ray.serve import metrics


class DeviceMetrics:
    """Publishes what this process has of its GPU; without a GPU it costs nothing."""

    def __init__(self) -> None:
        self._memory = metrics.Gauge(
            "krea_serve_gpu_memory_bytes",
            description="What tensors of this process take, and what it reserved for them.",
            tag_keys=("state",),
        )

    def publish(self) -> None:
        """Show how it stands now, from torch's own books: the GPU itself is not asked."""
        if not torch.cuda.is_initialized():
            return
        self._memory.set(torch.cuda.memory_allocated(), {"state": "allocated"})
        self._memory.set(torch.cuda.memory_reserved(), {"state": "reserved"})
