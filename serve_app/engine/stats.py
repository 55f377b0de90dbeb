"""How an engine stands, in numbers."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EngineStats:
    """How a denoiser's engine stands (Denoiser to metrics, and to whoever asks).

    Attributes:
        num_jobs: Unfinished pictures.
        left_s: Predicted seconds of all their steps.
        num_steps: Steps that ran since the start, whatever shared them.
        num_picture_steps: Steps of pictures: what shared a step counts each.
        step_error: Recent mean of |predicted - measured| / measured of a step's seconds.
        token_budget: Of a step.
        picture_error: Recent mean of |predicted - measured| / measured of all seconds of a picture
            that is done, as if it had been alone.
        num_recompiles: Graphs that were compiled in service, while pictures waited.
        overhead_s: Predicted seconds of a step, whatever is in it.
        s_per_flop: Predicted seconds of each operation in it; 0: no step was measured yet.
        slo_factor: A picture is due after so many times the seconds that it takes alone.
    """

    num_jobs: int
    left_s: float
    num_steps: int
    num_picture_steps: int
    step_error: float
    token_budget: int
    overhead_s: float
    s_per_flop: float
    num_recompiles: int = 0
    picture_error: float = 0.0
    slo_factor: float = 1.0
