"""A GPU's memory is told by who has a GPU, and by nobody else."""

import pytest
import torch

from serve_app.deployments.device_metrics import DeviceMetrics
from tests.unit.deployments.conftest import Readings

MEMORY = "krea_serve_gpu_memory_bytes"


def test_without_a_gpu_there_is_nothing_to_tell(
    readings: Readings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    # To be asked for anything more would start CUDA.
    monkeypatch.setattr(torch.cuda, "memory_allocated", pytest.fail)
    DeviceMetrics().publish()
    assert readings.values == {}


def test_what_tensors_take_and_what_is_reserved(
    readings: Readings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda: 5)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda: 8)
    DeviceMetrics().publish()
    assert readings.of(MEMORY) == {("allocated",): 5, ("reserved",): 8}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_tensor_is_seen(readings: Readings) -> None:
    tensor = torch.empty(1 << 20, dtype=torch.uint8, device="cuda")
    DeviceMetrics().publish()
    found = readings.of(MEMORY)
    assert found["reserved",] >= found["allocated",] >= tensor.nbytes
