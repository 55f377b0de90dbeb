"""A truncated or missing weight file stops the start in one line, without a tensor being read."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from serve_app.config import EMBEDDED_MODEL_DIR
from serve_app.errors import WeightsError
from serve_app.weight_files import check_weight_files

TRANSFORMER = "transformer/diffusion_pytorch_model.safetensors"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    copy = tmp_path / "model"
    shutil.copytree(EMBEDDED_MODEL_DIR, copy)
    return copy


def test_the_embedded_model_is_whole() -> None:
    check_weight_files(EMBEDDED_MODEL_DIR)


def truncate(directory: Path) -> None:
    file = directory / TRANSFORMER
    file.write_bytes(file.read_bytes()[:-1])


def cut_in_header(directory: Path) -> None:
    file = directory / TRANSFORMER
    file.write_bytes(file.read_bytes()[:20])


def empty(directory: Path) -> None:
    (directory / TRANSFORMER).write_bytes(b"")


def remove(directory: Path) -> None:
    (directory / TRANSFORMER).unlink()


def scramble(directory: Path) -> None:
    (directory / TRANSFORMER).write_bytes(b"<html>not found</html>" * 100)


def lose_a_shard(directory: Path) -> None:
    index = {"weight_map": {"x": "diffusion_pytorch_model-00002-of-00003.safetensors"}}
    name = "transformer/diffusion_pytorch_model.safetensors.index.json"
    (directory / name).write_text(json.dumps(index))


def blank_the_index(directory: Path) -> None:
    name = "transformer/diffusion_pytorch_model.safetensors.index.json"
    (directory / name).write_text("[]")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (truncate, "is broken: .* bytes instead of"),
        (cut_in_header, "is not a safetensors file"),
        (empty, "is not a safetensors file"),
        (remove, "holds no .safetensors file"),
        (scramble, "is not a safetensors file"),
        (lose_a_shard, "00002-of-00003.safetensors: No such file"),
        (blank_the_index, "is not an index of shards"),
    ],
)
def test_damage_is_named_in_one_line(
    directory: Path, damage: Callable[[Path], None], said: str
) -> None:
    damage(directory)
    with pytest.raises(WeightsError, match=said) as refused:
        check_weight_files(directory)
    assert "\n" not in refused.value.message
