"""`krea-serve generate` as a user runs it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

KREA_SERVE = Path(sys.executable).with_name("krea-serve")
PROMPT = "a red circle on a blue background"


def generate(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [KREA_SERVE, "generate", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_picture_of_the_size_and_format_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "out.jpg"
    ended = generate(PROMPT, "-o", file, "--size", "300x260", "--steps", "3", "--seed", "1")
    assert ended.returncode == 0, ended.stderr
    assert "3/3" in ended.stderr
    with Image.open(file) as picture:
        assert (picture.format, picture.size) == ("JPEG", (300, 260))


def test_a_seed_is_a_picture(tmp_path: Path) -> None:
    pictures = []
    for seed in ("1", "1", "2"):
        file = tmp_path / "out.png"
        assert generate(PROMPT, "-o", file, "--size", "256x256", "--seed", seed).returncode == 0
        with Image.open(file) as picture:
            pictures.append(np.asarray(picture))
    assert np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0], pictures[2])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-o", "out.bmp"], "use one of"),
        (["-o", "out.png", "--size", "9999x1"], "size"),
        (["-o", "out.png", "--model", "/no/such/model"], "/no/such/model does not exist"),
    ],
)
def test_a_wrong_argument_is_one_line(arguments: list[str], said: str) -> None:
    ended = generate(PROMPT, *arguments)
    assert ended.returncode == 1
    assert said in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1
