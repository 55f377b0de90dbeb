"""Muon: momentum whose every step is made orthogonal, for the matrices inside the blocks.

torch.optim.Muon does the same in bfloat16, which this model's hardware (a CPU without bfloat16
units) runs slowly, and one matrix at a time. This one works in float32 and on stacks of equal
matrices.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from serve_app.tiny_flux import ranks

ITERATIONS = 5
COEFFICIENTS = (3.4445, -4.7750, 2.0315)


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised by Newton-Schulz iterations."""

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.01,
    ) -> None:
        """Hold matrices, each of shape (rows, columns)."""
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Make one step with the gradients there are."""
        assert closure is None
        for group in self.param_groups:
            stacks: dict[tuple[int, int], list[tuple[Tensor, Tensor]]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    update = self._momentum(parameter, group)
                    stacks[tuple(parameter.shape)].append((parameter, update))
            for pairs in stacks.values():
                updates = ranks.divided(torch.stack([update for _, update in pairs]), orthogonalize)
                for (parameter, _), update in zip(pairs, updates, strict=True):
                    rows, columns = parameter.shape
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.add_(update, alpha=-group["lr"] * max(1, rows / columns) ** 0.5)

    def _momentum(self, parameter: Tensor, group: dict[str, Any]) -> Tensor:
        state = self.state[parameter]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(parameter)
        velocity: Tensor = state["momentum"]
        assert parameter.grad is not None
        velocity.lerp_(parameter.grad, 1 - group["momentum"])
        return parameter.grad.lerp(velocity, group["momentum"])


def orthogonalize(stack: Tensor) -> Tensor:
    """Return about the nearest matrices whose rows or columns are orthonormal.

    Args:
        stack: Matrices, shape (matrices, rows, columns).
    """
    tall = stack.shape[-2] > stack.shape[-1]
    x: Tensor = stack.mT if tall else stack
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    a, b, c = COEFFICIENTS
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x
