"""A failure is of what failed, until nothing else succeeds or the accelerator says so itself."""

import pytest
import torch

from serve_app.stages.trouble import MAX_FAILED_IN_A_ROW, Trouble

BUG = RuntimeError("a bug")
LOST = torch.AcceleratorError("an illegal memory access was encountered")


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def trouble(told: list[str]) -> Trouble:
    return Trouble(told.append)


def test_failures_in_a_row_are_of_the_device(trouble: Trouble, told: list[str]) -> None:
    for _ in range(MAX_FAILED_IN_A_ROW - 1):
        trouble.failed(BUG)
    assert not trouble.is_of_the_device
    assert not told
    trouble.failed(BUG)
    assert trouble.is_of_the_device
    assert told == ["RuntimeError: a bug"]


def test_a_success_between_them_says_that_the_device_works(
    trouble: Trouble, told: list[str]
) -> None:
    for _ in range(3 * MAX_FAILED_IN_A_ROW):
        trouble.failed(BUG)
        trouble.succeeded()
    assert not trouble.is_of_the_device
    assert not told


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("no"), MemoryError()])
def test_what_is_too_large_says_nothing_of_the_device(
    trouble: Trouble, told: list[str], error: Exception
) -> None:
    for _ in range(2 * MAX_FAILED_IN_A_ROW):
        trouble.failed(error)
    assert not trouble.is_of_the_device
    assert not told


def test_what_fails_together_is_not_counted(trouble: Trouble, told: list[str]) -> None:
    for _ in range(2 * MAX_FAILED_IN_A_ROW):
        trouble.happened(BUG)
    assert not trouble.is_of_the_device
    assert not told


@pytest.mark.parametrize("note", [Trouble.failed, Trouble.happened])
def test_the_accelerator_s_own_error_is_enough_and_for_good(
    trouble: Trouble, told: list[str], note: "staticmethod[[Trouble, BaseException], None]"
) -> None:
    note(trouble, LOST)
    assert trouble.is_of_the_device
    assert told == [f"AcceleratorError: {LOST}"]
    trouble.succeeded()
    assert trouble.is_of_the_device
