"""When what fails is the device, and not what ran on it."""

from collections.abc import Callable

import torch

from serve_app.errors import TooLargeForDeviceError

# Of different calls or pictures, with no success between them.
MAX_FAILED_IN_A_ROW = 3

# Of a request that is too large, of which the device is none the worse.
NO_MEMORY = (torch.OutOfMemoryError, MemoryError)

# Is told why a device is of no more use; in a replica it does not return.
OnBroken = Callable[[str], None]


def stay(reason: str) -> None:
    """Be told why a device is of no more use, and do nothing."""


def too_large(error: BaseException, stage: str) -> TooLargeForDeviceError | None:
    """Return what the client is told where an error says that there was no memory for its call."""
    return TooLargeForDeviceError(stage) if isinstance(error, NO_MEMORY) else None


class Trouble:
    """What failed lately on one device.

    An error of the accelerator itself, such as an illegal memory access, leaves no use of it to
    the process. Anything else is the fault of what failed, unless nothing else succeeds either.
    """

    def __init__(self, on_broken: OnBroken = stay) -> None:
        """Know of no failure; `on_broken` is told once they are the device's, each time."""
        self._on_broken = on_broken
        self._num_failed_in_a_row = 0
        self._is_lost = False

    @property
    def is_of_the_device(self) -> bool:
        """Whether nothing that is tried now can be expected to succeed."""
        return self._is_lost or self._num_failed_in_a_row >= MAX_FAILED_IN_A_ROW

    def failed(self, error: BaseException) -> None:
        """Note a failure of something that ran alone."""
        if not isinstance(error, NO_MEMORY):
            self._num_failed_in_a_row += 1
            self.happened(error)

    def happened(self, error: BaseException) -> None:
        """Note an error of several that ran together: only the accelerator's own counts."""
        self._is_lost |= isinstance(error, torch.AcceleratorError)
        if self.is_of_the_device:
            self._on_broken(f"{type(error).__name__}: {error}")

    def succeeded(self) -> None:
        """Note a success."""
        self._num_failed_in_a_row = 0
