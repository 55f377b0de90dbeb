"""How many operations a denoising step takes, and how many seconds: known before it is run.

A FLUX transformer's work depends on its number of tokens alone. So operations are computed, and
seconds are a line over them, `overhead_s + flops / flops_per_s`, fitted to the steps measured, for
each transformer. What a job's acceleration lets it skip is learned from the jobs that are done.

Pure Python: no torch, no clock, no thread.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from serve_app.engine.work import Work
from serve_app.messages import Acceleration

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
# Of the seconds of the mean step, for its operations: an operation is never free, even where the
# steps that were measured took equally long, or, by noise, less the larger they were.
MIN_SLOPE = 0.05
FORGETTING = 0.998  # of what was learned of the line, with every step: some 500 steps count
PACE_FORGETTING = 0.98  # of how fast steps were: some fifty count
MAX_SURPRISE = 3.0  # a step that took longer counts as if it had taken this many times as long
NUM_TRUSTED = 10  # measured steps after which surprises are cut
ERROR_SMOOTHING = 0.05
SHARE_SMOOTHING = 0.1  # some ten jobs count
LEAST_PART = 1e-3  # of a step's operations, that another transformer's step is made of


class Recent:
    """A mean of what came lately; until that is much, of all that came.

    Attributes:
        mean: Before anything came, what it was made with.
    """

    def __init__(self, mean: float, smoothing: float) -> None:
        self.mean = mean
        self._smoothing = smoothing
        self._count = 0

    def add(self, value: float) -> None:
        """Count one more."""
        self._count += 1
        self.mean += max(self._smoothing, 1 / self._count) * (value - self.mean)


class StepLine:
    """Seconds of one transformer's steps, as a line over their operations.

    How much of a step is overhead is the model's and the device's, and does not change; how fast
    the device is changes all the time where it is shared. So the one is learned from many steps,
    and the other, which is the pace, from the latest.

    Attributes:
        overhead_s: Of a step, whatever is in it.
        s_per_flop: Of each operation, over 0.
    """

    def __init__(self, s_per_flop: float, overhead_s: float) -> None:
        """Start from a guess, which the first measured step replaces."""
        self.s_per_flop = self._slope = s_per_flop
        self.overhead_s = self._start = overhead_s
        self._num_observed = 0
        # Decayed sums of the weighted fit: 1, x, y, xx, xy with x = flops, y = seconds.
        self._sums = [0.0] * 5
        # And of the latest steps: their seconds, of those that are usual, and their number.
        self._latest_s = self._num_latest = 0.0

    def step_s(self, flops: float) -> float:
        """Return the seconds of a step of so many operations."""
        return self.overhead_s + self.s_per_flop * flops

    def observe(self, flops: float, seconds: float) -> None:
        """Learn from one step; one that took very much longer than foreseen counts for less."""
        if self._num_observed >= NUM_TRUSTED:
            seconds = min(seconds, MAX_SURPRISE * self.step_s(flops))
        self._num_observed += 1
        # Relative errors count, so that small steps are predicted as well as large ones. As they
        # are in relation to what was measured, slow steps count for less than quick ones: that
        # makes the line too low, but is made good by the pace, and disturbs its slope the least.
        weight = 1 / seconds**2
        terms = (1.0, flops, seconds, flops**2, flops * seconds)
        self._sums = [
            FORGETTING * old + weight * term for old, term in zip(self._sums, terms, strict=True)
        ]
        self._fit()
        self._follow(flops, seconds)

    def _follow(self, flops: float, seconds: float) -> None:
        """Learn how fast steps are now; all of the latest together take what is foreseen."""
        self._latest_s = PACE_FORGETTING * self._latest_s + seconds / self._usual_step_s(flops)
        self._num_latest = PACE_FORGETTING * self._num_latest + 1.0
        pace = self._latest_s / self._num_latest
        self.overhead_s, self.s_per_flop = pace * self._start, pace * self._slope

    def _usual_step_s(self, flops: float) -> float:
        return self._start + self._slope * flops

    def _fit(self) -> None:
        count, x, y, xx, xy = self._sums
        spread = xx * count / x**2 - 1
        if spread < MIN_SPREAD**2:
            # One size only: what is known of the overhead stays, the rest is the operations'.
            self._start = min(self._start, 0.5 * y / count)
            self._slope = (y - self._start * count) / x
            return
        slope = (count * xy - x * y) / (count * xx - x**2)
        self._slope = min(max(slope, MIN_SLOPE * y / x), y / x)
        self._start = max(0.0, (y - self._slope * x) / count)


class CostModel:
    """Seconds of a step by its operations, learned from the steps that ran.

    Its line is of the transformer that was measured first. A job of another one, or one that may
    skip, has its operations restated by `expected_flops`, so that the line holds for it as well
    and whoever compares jobs need not tell them apart.

    Attributes:
        overhead_s: Of a step, whatever is in it.
        s_per_flop: Of each operation.
    """

    def __init__(self, s_per_flop: float, overhead_s: float = 0.0) -> None:
        """Start from a guess, which the first measured step replaces."""
        self.s_per_flop = s_per_flop
        self.overhead_s = overhead_s
        self._lines: dict[int, StepLine] = {}
        self._shares: dict[Acceleration, Recent] = {}
        self._step_error = Recent(0.0, ERROR_SMOOTHING)
        self._picture_error = Recent(0.0, ERROR_SMOOTHING)

    @property
    def is_taught(self) -> bool:
        """Whether it knows any step, and does not only guess."""
        return bool(self._lines)

    @property
    def error(self) -> float:
        """Recent mean of |predicted - measured| / measured, of the seconds of a step."""
        return self._step_error.mean

    @property
    def picture_error(self) -> float:
        """Recent mean of |predicted - measured| / measured, of all steps of a picture that is done.

        Unlike `error`, it also tells how well it was foreseen which steps would be skipped.
        """
        return self._picture_error.mean

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

    def expected_flops(
        self, flops: float, acceleration: Acceleration, transformer: int = 0
    ) -> float:
        """Return the operations that this model's line is to be asked about, for a job's mean step.

        Args:
            flops: Of a step of the job, computed to its end.
            acceleration: Which lets it skip some.
            transformer: That runs it, as in `observe`.
        """
        if acceleration in self._shares:
            flops *= self._shares[acceleration].mean
        line = self._lines.get(transformer)
        if line is None or line is self._first_line:
            return flops
        alike = (line.step_s(flops) - self.overhead_s) / self.s_per_flop
        # One with less overhead may be done before the first one has begun.
        return max(LEAST_PART * flops, alike)

    def alone_s(self, flops: float, all_flops: float, seconds: float, transformer: int) -> float:
        """Return what a picture's step would have taken alone, of a step that others were in.

        Args:
            flops: That were computed for it.
            all_flops: For all of them.
            seconds: That they took together.
            transformer: That ran them, and was observed.
        """
        line = self._lines[transformer]
        return seconds * line.step_s(flops) / line.step_s(all_flops)

    def observe(self, flops: float, seconds: float, transformer: int = 0) -> None:
        """Learn from one step.

        Args:
            flops: Of all pictures in it.
            seconds: That it took, over 0.
            transformer: Any number that tells it from others.
        """
        was_taught = self.is_taught
        line = self._lines.setdefault(transformer, StepLine(self.s_per_flop, self.overhead_s))
        if was_taught:
            # Of the seconds as they were: what the line does not believe was mispredicted too.
            self._step_error.add(abs(line.step_s(flops) - seconds) / seconds)
        line.observe(flops, seconds)
        self.overhead_s = self._first_line.overhead_s
        self.s_per_flop = self._first_line.s_per_flop

    def finished(self, acceleration: Acceleration, computed_share: float) -> None:
        """Learn from a job that is done what its acceleration lets it skip.

        Args:
            acceleration: That it had.
            computed_share: Of its steps' operations, those that were computed.
        """
        share = self._shares.setdefault(acceleration, Recent(1.0, SHARE_SMOOTHING))
        share.add(computed_share)

    def judge(self, predicted_s: float, own_s: float) -> None:
        """Count how well a job that is done was predicted.

        Args:
            predicted_s: Of all its steps, when it was admitted.
            own_s: That they took, or would have alone.
        """
        self._picture_error.add(abs(predicted_s - own_s) / own_s)

    @property
    def _first_line(self) -> StepLine:
        return next(iter(self._lines.values()))
