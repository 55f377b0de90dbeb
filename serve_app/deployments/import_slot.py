"""Replicas of one machine import their libraries a few at a time.

torch and diffusers take seconds of a core. An update starts a replica of every stage at once: all
together they would keep the cores from the pictures that the old replicas still make.
"""

import logging
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

logger = logging.getLogger(__name__)

FOLDER = Path(tempfile.gettempdir(), f"krea-serve-imports-{os.getuid()}")
CPU_LIMIT = Path("/sys/fs/cgroup/cpu.max")  # of a container: "200000 100000" are two cores
LONGEST_WAIT_S = 120.0  # behind one whose disk does not answer, say
POLL_S = 0.1


@contextmanager
def import_slot(
    folder: Path = FOLDER, num_slots: int | None = None, longest_wait_s: float = LONGEST_WAIT_S
) -> Iterator[None]:
    """Hold one of the machine's slots for the block; one of a process that ended is free.

    The block runs in any case: without a slot where none gets free, or no file can be written.

    Args:
        folder: Of the slots' lock files, the same for all who share the machine.
        num_slots: Half of the cores by default, so that pictures have the others.
        longest_wait_s: Seconds to wait for one.
    """
    try:
        slot = _acquired(folder, num_slots or max(1, num_cores() // 2), longest_wait_s)
    except OSError as error:
        logger.warning("imports do not wait for those of other replicas: %s", error)
        slot = None
    try:
        yield
    finally:
        if slot is not None:
            slot.release()


def num_cores(cpu_limit: Path = CPU_LIMIT) -> int:
    """Return how many cores this process may use, its container's limit regarded.

    Args:
        cpu_limit: The control group's file; it need not exist.
    """
    cores = len(os.sched_getaffinity(0))
    try:
        quota, period = cpu_limit.read_text().split()
        return max(1, min(cores, int(quota) // int(period)))
    except (OSError, ValueError):  # no such file, or "max": no limit
        return cores


def _acquired(folder: Path, num_slots: int, longest_wait_s: float) -> FileLock | None:
    """Return the first slot that gets free; None if none does in time."""
    folder.mkdir(mode=0o700, exist_ok=True)
    locks = [FileLock(folder / f"{number}.lock") for number in range(num_slots)]
    ends = time.monotonic() + longest_wait_s
    while time.monotonic() < ends:
        for lock in locks:
            try:
                lock.acquire(blocking=False)
            except Timeout:
                continue
            return lock
        time.sleep(POLL_S)
    logger.warning("no other replica ended its imports within %.0f s", longest_wait_s)
    return None
