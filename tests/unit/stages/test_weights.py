"""A model directory that is broken in any way ends in one clear line, before any request."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from serve_app.errors import WeightsError
from serve_app.stages.text_encoder import TextEncoderStage
from serve_app.stages.transformer import TransformerStage
from serve_app.stages.vae import VaeStage

STAGES: dict[str, Any] = {
    "text_encoder": TextEncoderStage,
    "text_encoder_2": TextEncoderStage,
    "tokenizer": TextEncoderStage,
    "tokenizer_2": TextEncoderStage,
    "transformer": TransformerStage,
    "vae": VaeStage,
}
MODELS = ("text_encoder", "text_encoder_2", "transformer", "vae")
TOKENIZERS = ("tokenizer", "tokenizer_2")


@pytest.fixture
def directory(flux_directory: Path, tmp_path: Path) -> Path:
    """A model directory of the test's own, to break."""
    return shutil.copytree(flux_directory, tmp_path / "model")


def load(component: str, directory: Path, dtype: torch.dtype = torch.float32) -> Any:
    return STAGES[component].load(directory, dtype, torch.device("cpu"))


def weights_file(directory: Path, component: str) -> Path:
    return next((directory / component).glob("*.safetensors"))


def change_weights(path: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    weights = load_file(path)
    change(weights)
    save_file(weights, path, metadata={"format": "pt"})


def change_json(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def refusal(component: str, directory: Path) -> str:
    """Return the line the stage refuses the directory with."""
    with pytest.raises(WeightsError) as refused:
        load(component, directory)
    message = refused.value.message
    assert "\n" not in message
    assert component in message
    return message


def test_a_missing_directory(tmp_path: Path) -> None:
    for stage in (TextEncoderStage, TransformerStage, VaeStage):
        with pytest.raises(WeightsError, match=str(tmp_path / "none")):
            stage.load(tmp_path / "none", torch.float32, torch.device("cpu"))


@pytest.mark.parametrize("component", MODELS + TOKENIZERS)
def test_a_missing_component(directory: Path, component: str) -> None:
    shutil.rmtree(directory / component)
    refusal(component, directory)


@pytest.mark.parametrize("component", MODELS)
def test_a_missing_weights_file(directory: Path, component: str) -> None:
    weights_file(directory, component).unlink()
    assert "safetensors" in refusal(component, directory)


@pytest.mark.parametrize("component", MODELS)
def test_a_truncated_weights_file(directory: Path, component: str) -> None:
    path = weights_file(directory, component)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    refusal(component, directory)


@pytest.mark.parametrize("component", MODELS)
def test_a_missing_weight(directory: Path, component: str) -> None:
    def drop(weights: dict[str, torch.Tensor]) -> None:
        del weights[max(weights)]

    change_weights(weights_file(directory, component), drop)
    assert "missing weight" in refusal(component, directory)


@pytest.mark.parametrize("component", MODELS)
def test_an_unexpected_weight(directory: Path, component: str) -> None:
    def add(weights: dict[str, torch.Tensor]) -> None:
        weights["extra.weight"] = torch.zeros(2)

    change_weights(weights_file(directory, component), add)
    assert "unexpected weight extra.weight" in refusal(component, directory)


@pytest.mark.parametrize("component", MODELS)
def test_a_weight_of_another_shape(directory: Path, component: str) -> None:
    names = []

    def reshape(weights: dict[str, torch.Tensor]) -> None:
        names.append(max(weights))
        weights[names[0]] = torch.zeros(3, 3)

    change_weights(weights_file(directory, component), reshape)
    assert names[0] in refusal(component, directory)


@pytest.mark.parametrize("component", MODELS)
def test_another_class(directory: Path, component: str) -> None:
    config = directory / component / "config.json"
    key = "_class_name" if component in ("transformer", "vae") else "architectures"
    change_json(config, **{key: "Other" if key == "_class_name" else ["Other"]})
    assert "it holds Other, not" in refusal(component, directory)


@pytest.mark.parametrize("component", MODELS)
def test_a_config_that_is_not_json(directory: Path, component: str) -> None:
    (directory / component / "config.json").write_text("{")
    assert "is not JSON" in refusal(component, directory)


@pytest.mark.parametrize("component", TOKENIZERS)
def test_a_tokenizer_without_vocabulary(directory: Path, component: str) -> None:
    (directory / component / "tokenizer.json").unlink()
    assert "it has no vocabulary" in refusal(component, directory)


@pytest.mark.parametrize("component", TOKENIZERS)
def test_a_broken_tokenizer(directory: Path, component: str) -> None:
    (directory / component / "tokenizer.json").write_text("{")
    refusal(component, directory)


@pytest.mark.parametrize("component", ["transformer", "vae"])
def test_half_precision_files_load_in_the_asked_precision(directory: Path, component: str) -> None:
    def halve(weights: dict[str, torch.Tensor]) -> None:
        weights |= {name: weight.half() for name, weight in weights.items()}

    change_weights(weights_file(directory, component), halve)
    model = getattr(load(component, directory), component)
    stored = load_file(weights_file(directory, component))
    assert {weight.dtype for weight in stored.values()} == {torch.float16}
    for name, weight in model.state_dict().items():
        assert weight.dtype == torch.float32
        assert torch.equal(weight, stored[name].float())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("component", MODELS)
def test_a_model_is_ready_for_inference(
    flux_directory: Path, component: str, dtype: torch.dtype
) -> None:
    model = getattr(load(component, flux_directory, dtype), component)
    assert model.dtype == dtype
    assert not model.training
    assert not any(weight.requires_grad for weight in model.parameters())


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"use_dynamic_shifting": False}, "use_dynamic_shifting must be True, not False"),
        ({"invert_sigmas": True}, "invert_sigmas must be False, not True"),
        ({"shift_terminal": 0.1}, "shift_terminal must be None, not 0.1"),
        ({"time_shift_type": "linear"}, "time_shift_type must be exponential, not linear"),
        ({"_class_name": "DDIMScheduler"}, "_class_name must be FlowMatchEuler"),
        ({"max_shift": "big"}, "max_shift must be a number, not 'big'"),
    ],
)
def test_a_schedule_that_is_not_flux(directory: Path, change: dict[str, object], line: str) -> None:
    path = directory / "scheduler" / "scheduler_config.json"
    change_json(path, **change)
    with pytest.raises(WeightsError, match=line):
        load("transformer", directory)
