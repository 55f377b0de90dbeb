"""What all parts of one run of a benchmark share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from benchmarks.random_models import Family
from benchmarks.turns import Measured, Work, measure


@dataclass(frozen=True, slots=True)
class Conditions:
    """Under which everything is measured.

    Attributes:
        family: Which models.
        dtype: Of weights and arithmetic.
        device: Where.
        sides_px: Of the square pictures.
        num_rounds: Each of two turns per work.
        num_repeats: Of a work in one turn.
        tflops: What the device does at best in `dtype`; None: no bounds are shown.
        is_compiled: Whether the transformer is also measured compiled.
    """

    family: Family
    dtype: torch.dtype
    device: torch.device
    sides_px: Sequence[int]
    num_rounds: int
    num_repeats: int
    tflops: float | None
    is_compiled: bool

    def measure(self, works: Mapping[str, Work]) -> dict[str, Measured]:
        """Return what each work took."""
        return measure(works, self.device, self.num_rounds, self.num_repeats)

    def side_tokens(self, side_px: int) -> int:
        """Return how many tokens a side of a picture has."""
        return side_px // self.family.canvas_multiple

    def randn(self, *shape: int) -> torch.Tensor:
        """Return noise where and in what dtype it is measured."""
        return torch.randn(*shape, dtype=self.dtype, device=self.device)
