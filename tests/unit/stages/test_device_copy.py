"""Tensors arrive on the device whole, whatever else it does."""

import pytest
import torch

from serve_app.stages.device_copy import copy_to_device


def test_a_tensor_that_is_there_already_stays_itself() -> None:
    tensors = [torch.ones(2), torch.zeros(3)]
    placed = copy_to_device(tensors, torch.device("cpu"))
    assert [one is other for one, other in zip(tensors, placed, strict=True)] == [True, True]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_tensors_arrive_on_a_gpu_that_is_busy() -> None:
    busy = torch.randn(8192, 8192, device="cuda")
    for _ in range(20):
        busy = (busy @ busy).tanh()
    tensors = [torch.randn(1024, 1024) for _ in range(8)]
    placed = copy_to_device(tensors, torch.device("cuda"))
    for tensor, copy in zip(tensors, placed, strict=True):
        assert torch.equal(copy.cpu(), tensor)
