"""A model directory is understood before any weight is loaded, or refused in one line."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from serve_app.config import EMBEDDED_MODEL_DIR
from serve_app.errors import WeightsError
from serve_app.model_facts import ModelFacts, read_model_facts


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The embedded model's directory, without its weights."""
    copy = tmp_path / "model"
    shutil.copytree(EMBEDDED_MODEL_DIR, copy, ignore=shutil.ignore_patterns("*.safetensors"))
    return copy


def test_facts_of_the_embedded_model() -> None:
    assert read_model_facts(EMBEDDED_MODEL_DIR) == ModelFacts(
        canvas_multiple=64, max_sequence_length=24
    )


def test_facts_of_flux(directory: Path) -> None:
    edit(directory / "vae/config.json", block_out_channels=[128, 256, 512, 512])
    edit(directory / "tokenizer_2/tokenizer_config.json", model_max_length=512)
    assert read_model_facts(directory) == ModelFacts(canvas_multiple=16, max_sequence_length=512)


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def drop_transformer(directory: Path) -> None:
    shutil.rmtree(directory / "transformer")


def drop_index(directory: Path) -> None:
    (directory / "model_index.json").unlink()


def break_vae(directory: Path) -> None:
    (directory / "vae/config.json").write_text("{")


def blank_vae(directory: Path) -> None:
    (directory / "vae/config.json").write_text("{}")


def list_index(directory: Path) -> None:
    (directory / "model_index.json").write_text("[]")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (shutil.rmtree, "does not exist"),
        (drop_transformer, "lacks transformer"),
        (drop_index, "cannot read"),
        (break_vae, "is not JSON"),
        (blank_vae, "block_out_channels"),
        (list_index, "is not a JSON object"),
    ],
)
def test_a_broken_directory_is_refused_in_one_line(
    directory: Path, damage: Callable[[Path], None], said: str
) -> None:
    damage(directory)
    with pytest.raises(WeightsError, match=said) as refused:
        read_model_facts(directory)
    assert "\n" not in refused.value.message
    assert str(directory) in refused.value.message
