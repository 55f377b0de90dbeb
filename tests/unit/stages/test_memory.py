"""The allocator settings are taken, and a large tensor's memory is used again."""

import resource
import threading

import torch

from serve_app.stages.memory import keep_freed_memory

NUM_TENSORS = 50
TENSOR_BYTES = 32 * 1024 * 1024


def page_faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def faults_of_repeated_allocation() -> int:
    before = page_faults()
    for _ in range(NUM_TENSORS):
        torch.empty(TENSOR_BYTES // 4).fill_(1.0)
    return page_faults() - before


def test_freed_memory_is_used_again_also_in_a_stage_s_thread() -> None:
    assert keep_freed_memory()
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(faults_of_repeated_allocation()))
    thread.start()
    thread.join()
    # Mapped anew each time, every tensor would fault in all its pages of 4 KB.
    assert found[0] < NUM_TENSORS * TENSOR_BYTES / 4096 / 5
