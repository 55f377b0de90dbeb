"""Several processes that train one model: `torchrun` starts them, each sees other pictures.

On a CPU two processes of one thread each are a quarter faster than one of two threads.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor


@contextmanager
def joined() -> Iterator[None]:
    """Meet the other processes, if `torchrun` started any, and part from them at the end.

    A process that exits without parting may abort: gloo's threads still run.
    """
    if not dist.is_torchelastic_launched():
        yield
        return
    dist.init_process_group("gloo")
    try:
        yield
        dist.barrier()
    finally:
        dist.destroy_process_group()


def rank() -> int:
    """Return this process's number; 0 is the one that decides, reports and saves."""
    return dist.get_rank() if dist.is_initialized() else 0


def num_ranks() -> int:
    """Return how many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def agreed(value: float) -> float:
    """Return what process 0 says."""
    if not dist.is_initialized():
        return value
    shared = torch.tensor(value, dtype=torch.float64)
    dist.broadcast(shared, src=0)
    return float(shared)


def average_gradients(parameters: Iterable[Tensor]) -> None:
    """Give every process the mean of all processes' gradients."""
    if not dist.is_initialized():
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    flat /= num_ranks()
    parts = flat.split([gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view_as(gradient))


def divided(stack: Tensor, work: Callable[[Tensor], Tensor]) -> Tensor:
    """Return `work(stack)`, to which every process contributes its share of the first axis."""
    if not dist.is_initialized():
        return work(stack)
    parts = list(stack.tensor_split(num_ranks()))
    parts[rank()] = work(parts[rank()]).contiguous()
    for owner, part in enumerate(parts):
        dist.broadcast(part, src=owner)
    return torch.cat(parts)
