"""Bring tensors to a device while another thread calculates on it."""

from collections.abc import Sequence

import torch


def copy_to_device(tensors: Sequence[torch.Tensor], device: torch.device) -> list[torch.Tensor]:
    """Return the tensors on a device, ready to be read by every thread.

    Waits in the calling thread until they are there. On a GPU they travel on a stream of their own,
    so that what another thread calculates neither waits for them nor is held up.

    Args:
        tensors: On the CPU.
        device: Where they go; a tensor that is there already is returned itself.
    """
    if device.type != "cuda":
        return [tensor.to(device) for tensor in tensors]
    # Their memory is the default stream's, where it will be read: memory that is freed there is
    # given away again in that stream's order, never while a calculation still reads it.
    placed = [torch.empty_like(tensor, device=device) for tensor in tensors]
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.default_stream(device))
    with torch.cuda.stream(stream):
        for target, tensor in zip(placed, tensors, strict=True):
            target.copy_(tensor)
    stream.synchronize()
    return placed
