"""Works that take turns, so that whatever else slows the machine slows all of them alike."""

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from statistics import median

import torch

Work = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Measured:
    """Of one work.

    Attributes:
        times_s: Of each turn.
        peak_bytes: The most memory it had beyond what was held before; None on a CPU.
        sm_mhz: The GPU's clock while the works took turns; None where nobody can say.
    """

    times_s: tuple[float, ...]
    peak_bytes: int | None
    sm_mhz: int | None

    @property
    def median_s(self) -> float:
        """Of the turns."""
        return median(self.times_s)


def measure(
    works: Mapping[str, Work], device: torch.device, num_rounds: int, num_repeats: int
) -> dict[str, Measured]:
    """Return what each work took, by its name; one that runs out of memory is left out.

    Each works once before, unmeasured, and once for its memory. A round is there and back: A B C
    C B A. The device is waited for before and after a turn only.

    Args:
        works: To be measured.
        device: Where they work.
        num_rounds: Each of two turns per work.
        num_repeats: Of the work in one turn, one after the other without waiting.
    """
    peaks = dict(_fitting(works, device))
    times_s: dict[str, list[float]] = {name: [] for name in peaks}
    for _ in range(num_rounds):
        for name in [*peaks, *reversed(peaks)]:
            times_s[name].append(_turn_s(works[name], device, num_repeats))
    sm_mhz = _sm_mhz(works[next(reversed(peaks))], device) if peaks else None
    return {name: Measured(tuple(times_s[name]), peaks[name], sm_mhz) for name in peaks}


def _fitting(works: Mapping[str, Work], device: torch.device) -> Iterator[tuple[str, int | None]]:
    """Yield the name and the peak of each work that has enough memory."""
    for name, work in works.items():
        try:
            yield name, _peak_bytes(work, device)
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()


def _peak_bytes(work: Work, device: torch.device) -> int | None:
    work()
    if device.type != "cuda":
        return None
    _wait(device)
    held_bytes = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    work()
    _wait(device)
    return torch.cuda.max_memory_allocated(device) - held_bytes


def _turn_s(work: Work, device: torch.device, num_repeats: int) -> float:
    _wait(device)
    start = time.perf_counter()
    for _ in range(num_repeats):
        work()
    _wait(device)
    return (time.perf_counter() - start) / num_repeats


def _sm_mhz(work: Work, device: torch.device) -> int | None:
    program = shutil.which("nvidia-smi")
    if device.type != "cuda" or program is None:
        return None
    gpu = f"--id=GPU-{torch.cuda.get_device_properties(device).uuid}"
    query = [program, "--query-gpu=clocks.sm", "--format=csv,noheader,nounits", gpu]
    with subprocess.Popen(query, stdout=subprocess.PIPE, text=True) as driver:  # noqa: S603
        # An idle GPU would have another clock.
        while driver.poll() is None:
            work()
            _wait(device)
        found = driver.stdout.read().strip() if driver.stdout else ""
    return int(found) if found.isdigit() else None


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
