"""A running average of weights, short while training is young."""

from collections.abc import Mapping

import torch
from torch import Tensor


def average_into(average: dict[str, Tensor], values: Mapping[str, Tensor], step: int) -> None:
    """Move an average of weights towards their present values, in place.

    Args:
        average: Averaged tensors by name.
        values: Present tensors by the same names.
        step: Steps done; the average reaches back over a part of them, at most about 250.
    """
    keep = min(0.996, 1 - 1 / (step * 0.1 + 1))
    with torch.no_grad():
        for name, mean in average.items():
            if mean.is_floating_point():
                mean.lerp_(values[name], 1 - keep)
            else:
                mean.copy_(values[name])
