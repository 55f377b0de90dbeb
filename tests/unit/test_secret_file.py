"""A secret is made once, by whoever comes first, and read by all."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from serve_app.errors import ConfigError
from serve_app.secret_file import secret_in

NUM_PROCESSES = 8


def test_a_secret_is_made_once_and_kept(tmp_path: Path) -> None:
    made = secret_in(tmp_path / "one.key")
    assert len(made) == 64
    assert secret_in(tmp_path / "one.key") == made
    assert secret_in(tmp_path / "two.key") != made


def test_only_the_owner_can_read_it_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    secret_in(tmp_path / "one.key")
    (file,) = tmp_path.iterdir()
    assert file.name == "one.key"
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("attempt", range(5))
def test_who_comes_at_once_agrees(tmp_path: Path, attempt: int) -> None:
    barrier = Barrier(NUM_PROCESSES)

    def start(_: int) -> bytes:
        barrier.wait()
        return secret_in(tmp_path / "one.key")

    with ThreadPoolExecutor(NUM_PROCESSES) as processes:
        assert len(set(processes.map(start, range(NUM_PROCESSES)))) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["one.key"]


def test_a_broken_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "one.key").write_text("short\n")
    with pytest.raises(ConfigError, match="does not hold a key"):
        secret_in(tmp_path / "one.key")


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file or directory"):
        secret_in(tmp_path / "missing" / "one.key")
