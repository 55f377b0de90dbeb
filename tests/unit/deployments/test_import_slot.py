"""So many at a time, across processes; and a replica that starts in any case."""

import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from serve_app.deployments.import_slot import import_slot, num_cores

SPAWN = multiprocessing.get_context("spawn")
SOON_S = 0.3


def hold_a_slot(folder: Path, ends: Connection) -> None:
    with import_slot(folder, 1):
        ends.send("held")
        ends.recv()


@contextmanager
def holder(folder: Path) -> Iterator[tuple[Connection, int]]:
    """Have another process hold the only slot; yield who can end that, and its id."""
    ours, theirs = SPAWN.Pipe()
    process = SPAWN.Process(target=hold_a_slot, args=(folder, theirs))
    process.start()
    assert ours.poll(60), "it has the slot"
    assert ours.recv() == "held"
    assert process.pid is not None
    try:
        yield ours, process.pid
    finally:
        process.kill()
        process.join()


@contextmanager
def waiting(folder: Path, num_slots: int = 1) -> Iterator[threading.Event]:
    """Have a thread ask for a slot; yield what is set once it has one."""
    entered, leave = threading.Event(), threading.Event()

    def work() -> None:
        with import_slot(folder, num_slots):
            entered.set()
            leave.wait()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield entered
    finally:
        leave.set()
        thread.join()


def test_a_slot_is_one_process_s_until_its_block_ends(tmp_path: Path) -> None:
    with holder(tmp_path) as (ends, _), waiting(tmp_path) as entered:
        assert not entered.wait(SOON_S)
        ends.send("end")
        assert entered.wait(60)


def test_a_slot_is_free_once_its_process_is_killed(tmp_path: Path) -> None:
    with holder(tmp_path) as (_, pid), waiting(tmp_path) as entered:
        assert not entered.wait(SOON_S)
        os.kill(pid, signal.SIGKILL)
        assert entered.wait(60)


def test_there_are_as_many_slots_as_are_asked_for(tmp_path: Path) -> None:
    with waiting(tmp_path, 2) as first, waiting(tmp_path, 2) as second:
        assert first.wait(60)
        assert second.wait(60)
        with waiting(tmp_path, 2) as third:
            assert not third.wait(SOON_S)


def test_a_slot_is_free_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ImportError), import_slot(tmp_path, 1):
        raise ImportError
    with waiting(tmp_path) as entered:
        assert entered.wait(60)


def test_who_waited_long_enough_goes_on_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with waiting(tmp_path) as entered:
        assert entered.wait(60)
        with import_slot(tmp_path, 1, longest_wait_s=0.2):
            assert "within 0 s" in caplog.text


def test_where_no_file_can_be_written_nobody_waits(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), import_slot(tmp_path / "missing" / "folder"):
        assert "do not wait" in caplog.text


def test_a_container_s_limit_counts(tmp_path: Path) -> None:
    all_cores = num_cores(tmp_path / "missing")
    limit = tmp_path / "cpu.max"
    for text, cores in {
        "max 100000\n": all_cores,
        "100000 100000\n": 1,
        "50000 100000\n": 1,
        f"{(all_cores + 8) * 100000} 100000\n": all_cores,
    }.items():
        limit.write_text(text)
        assert num_cores(limit) == cores, text
