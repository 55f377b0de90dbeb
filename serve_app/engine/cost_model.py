"""How many operations a denoising step takes, and how many seconds: known before it is run.

A FLUX transformer's work depends on its number of tokens alone. So operations are computed, and
seconds are a line over them, `overhead_s + flops / flops_per_s`, fitted to the steps measured.

Pure Python: no torch, no clock, no thread.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from serve_app.engine.work import Work

TIMESTEP_CHANNELS = 256  # of diffusers' sinusoidal embedding in FLUX


@dataclass(frozen=True, slots=True)
class FluxGeometry:
    """Numbers of a FLUX transformer that its work depends on, in diffusers' words.

    The formula is diffusers' layers written down; `tests` compare it with torch's own counter.
    """

    inner_dim: int
    num_layers: int
    num_single_layers: int
    in_channels: int
    joint_attention_dim: int
    pooled_projection_dim: int
    guidance_embeds: bool

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self:
        """Return the geometry of a `FluxTransformer2DModel`'s config."""
        return cls(
            inner_dim=config["num_attention_heads"] * config["attention_head_dim"],
            num_layers=config["num_layers"],
            num_single_layers=config["num_single_layers"],
            in_channels=config["in_channels"],
            joint_attention_dim=config["joint_attention_dim"],
            pooled_projection_dim=config["pooled_projection_dim"],
            guidance_embeds=config["guidance_embeds"],
        )

    def flops_per_pixel(self, canvas_multiple: int, text_seq_len: int) -> float:
        """Return the operations of a step for each pixel of a picture of 1024x1024.

        Args:
            canvas_multiple: Pixels per token on each side.
            text_seq_len: Of its prompt.
        """
        num_pixels = 1024**2
        return self.step_flops(num_pixels // canvas_multiple**2, text_seq_len) / num_pixels

    def step_flops(self, image_seq_len: int, text_seq_len: int) -> float:
        """Return the operations of one forward for one picture; a multiply-add is two."""
        dim, tokens = self.inner_dim, image_seq_len + text_seq_len
        # Both kinds of block pass every token through 12 dim^2 weights: 4 of attention, 8 of MLP.
        per_block = 24 * dim**2 * tokens + 4 * tokens**2 * dim
        modulation = 12 * self.num_layers + 3 * self.num_single_layers + 2
        edges = (
            2 * self.in_channels * image_seq_len + self.joint_attention_dim * text_seq_len
        ) * dim
        num_timed = 2 if self.guidance_embeds else 1
        embeds = num_timed * (TIMESTEP_CHANNELS + dim) + self.pooled_projection_dim + dim
        return float(
            (self.num_layers + self.num_single_layers) * per_block
            + 2 * (modulation * dim**2 + edges + embeds * dim)
        )


# Of a fit with one line's slope and start: below this spread of the operations that were measured,
# in relation to their mean, the two cannot be told apart.
MIN_SPREAD = 0.05
FORGETTING = 0.98  # of what was learned, with every step: some fifty steps count
ERROR_SMOOTHING = 0.05
MAX_SURPRISE = 3.0  # a step that took longer counts as if it had taken this many times as long
NUM_TRUSTED = 10  # measured steps after which surprises are cut


class CostModel:
    """Seconds of a step by its operations, learned from the steps that ran.

    Attributes:
        overhead_s: Of a step, whatever is in it.
        s_per_flop: Of each operation.
        error: Recent mean of |predicted - measured| / measured.
    """

    def __init__(self, s_per_flop: float, overhead_s: float = 0.0) -> None:
        """Start from a guess, which the first measured step replaces."""
        self.s_per_flop = s_per_flop
        self.overhead_s = overhead_s
        self.error = 0.0
        self._num_observed = 0
        # Decayed sums of the weighted fit: 1, x, y, xx, xy with x = flops, y = seconds.
        self._sums = [0.0] * 5

    @property
    def is_taught(self) -> bool:
        """Whether it knows any step, and does not only guess."""
        return self._num_observed > 0

    def batch_s(self, works: Iterable[Work]) -> float:
        """Return the seconds of one step that these share."""
        return self.overhead_s + self.s_per_flop * sum(work.step_flops for work in works)

    def remaining_s(self, work: Work) -> float:
        """Return the seconds until it is done, if it ran alone from now on."""
        return work.num_steps_left * (self.overhead_s + self.s_per_flop * work.step_flops)

    def share_s(self, work: Work) -> float:
        """Return the seconds that what is left of it adds to steps which others are in."""
        return work.num_steps_left * self.s_per_flop * work.step_flops

    def solo_s(self, work: Work) -> float:
        """Return the seconds of all its steps, if it ran alone."""
        return work.num_steps * (self.overhead_s + self.s_per_flop * work.step_flops)

    def observe(self, flops: float, seconds: float) -> None:
        """Learn from one step.

        Args:
            flops: Of all pictures in it.
            seconds: That it took, over 0.
        """
        predicted = self.overhead_s + self.s_per_flop * flops
        if self._num_observed >= NUM_TRUSTED:
            seconds = min(seconds, MAX_SURPRISE * predicted)
        if self._num_observed > 0:
            error = abs(predicted - seconds) / seconds
            self.error += ERROR_SMOOTHING * (error - self.error)
        self._num_observed += 1
        # Relative errors count, so that small steps are predicted as well as large ones.
        weight = 1 / seconds**2
        terms = (1.0, flops, seconds, flops**2, flops * seconds)
        self._sums = [
            FORGETTING * old + weight * term for old, term in zip(self._sums, terms, strict=True)
        ]
        self._fit()

    def _fit(self) -> None:
        count, x, y, xx, xy = self._sums
        spread = xx * count / x**2 - 1
        if spread < MIN_SPREAD**2:
            # One size only: what is known of the overhead stays, the rest is the operations'.
            self.overhead_s = min(self.overhead_s, 0.5 * y / count)
            self.s_per_flop = (y - self.overhead_s * count) / x
            return
        slope = (count * xy - x * y) / (count * xx - x**2)
        slope = min(max(slope, 0.0), y / x)
        self.s_per_flop = slope or y / x
        self.overhead_s = max(0.0, (y - self.s_per_flop * x) / count)
