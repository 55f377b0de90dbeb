"""What a job is to the scheduler: how much is left of it, how urgent it is, and whose it is.

Pure Python: no torch, no clock, no thread.
"""

from dataclasses import dataclass
from math import inf

from serve_app.messages import Priority


@dataclass(slots=True, eq=False, kw_only=True)
class Work:
    """One picture's denoising, without its tensors.

    Attributes:
        num_steps: From its first to its last.
        num_tokens: That each step reads, prompt and picture together.
        step_flops: Floating-point operations of one step.
        priority: Its class; a lower class runs only when no higher one waits.
        tenant: Whose it is: within a class, tenants take turns.
        arrived_at: On the engine's clock, in seconds.
        deadline_at: By when it should be done, on the same clock.
        must_end_at: After which it is of no use, on the same clock.
        num_steps_done: Steps behind it.
        runs_alone: Whether it shares no batch, because a batch with it failed.
    """

    num_steps: int
    num_tokens: int
    step_flops: float
    priority: Priority = Priority.STANDARD
    tenant: str = ""
    arrived_at: float = 0.0
    deadline_at: float = inf
    must_end_at: float = inf
    num_steps_done: int = 0
    runs_alone: bool = False

    @property
    def num_steps_left(self) -> int:
        """Steps before it."""
        return self.num_steps - self.num_steps_done

    @property
    def is_done(self) -> bool:
        """Whether no step is left."""
        return self.num_steps_done == self.num_steps
