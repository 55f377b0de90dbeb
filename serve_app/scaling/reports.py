"""What replicas tell Serve's autoscaler, several times a second: numbers by name.

Serve wants dictionaries of numbers, and after one value of another type asks a replica no more.
"""

from dataclasses import asdict, dataclass

from serve_app.engine.stats import EngineStats


@dataclass(frozen=True, slots=True)
class PromisedWork:
    """What an ingress has accepted and not written yet.

    Attributes:
        num_pictures: Unfinished pictures; those of a request that are written already are not.
        num_steps: Of all of them, those behind them included.
        flops: Of all these steps.
        steps_per_s: Steps that have been asked for per second, smoothed.
        flops_per_s: Operations of these steps.
    """

    num_pictures: float = 0.0
    num_steps: float = 0.0
    flops: float = 0.0
    steps_per_s: float = 0.0
    flops_per_s: float = 0.0

    def numbers(self) -> dict[str, float]:
        """Return it as Serve wants it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class EngineWork:
    """What a denoiser has to do, and how fast it is.

    Attributes:
        num_jobs: Unfinished pictures.
        left_s: Predicted seconds of all their steps.
        overhead_s: Of a step, whatever is in it.
        s_per_flop: Of each operation.
    """

    num_jobs: float = 0.0
    left_s: float = 0.0
    overhead_s: float = 0.0
    s_per_flop: float = 0.0

    @classmethod
    def of(cls, stats: EngineStats) -> "EngineWork":
        """Return what an engine's figures say of it."""
        return cls(stats.num_jobs, stats.left_s, stats.overhead_s, stats.s_per_flop)

    def numbers(self) -> dict[str, float]:
        """Return it as Serve wants it."""
        return asdict(self)
