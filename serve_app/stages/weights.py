"""Load one component from a diffusers directory, alone, strictly and without the network.

Whatever Hugging Face, safetensors or the file system raise becomes a `WeightsError` here.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from serve_app.errors import WeightsError
from serve_app.model_facts import read_json

# A stage imports the library of its own models; either takes a core seconds.
if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

ModelT = TypeVar("ModelT", bound=torch.nn.Module)
TokenizerT = TypeVar("TokenizerT", bound="PreTrainedTokenizerBase")

# Any one of these sets is a vocabulary. Asked of the directory because transformers makes an
# empty tokenizer, without a word, out of a directory that has none.
VOCABULARIES = ({"tokenizer.json"}, {"vocab.json", "merges.txt"}, {"spiece.model"})


def load_model(
    cls: type[ModelT],
    directory: Path,
    subfolder: str,
    dtype: torch.dtype,
    device: torch.device,
    **options: object,
) -> ModelT:
    """Return a model of diffusers or transformers, for inference.

    Args:
        cls: Of the model.
        directory: Of the whole pipeline.
        subfolder: Of the model.
        dtype: Of its weights.
        device: Where they shall be.
        options: More of what the class's `from_pretrained` takes.

    Raises:
        WeightsError: It is missing, broken or of another class; the message is one line.
    """
    folder = directory / subfolder
    _check_class(cls, folder)
    with weights_errors(folder):
        untyped_cls: Any = cls
        model, report = untyped_cls.from_pretrained(
            directory,
            subfolder=subfolder,
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
            dtype=dtype,
            **options,
        )
        _check_report(report)
        loaded: ModelT = model.to(device).eval().requires_grad_(False)
    return loaded


def load_tokenizer(cls: type[TokenizerT], directory: Path, subfolder: str) -> TokenizerT:
    """Return a tokenizer.

    Raises:
        WeightsError: It is missing or broken; the message is one line.
    """
    folder = directory / subfolder
    with weights_errors(folder):
        names = {path.name for path in folder.iterdir()}
        if not any(vocabulary <= names for vocabulary in VOCABULARIES):
            raise WeightsError("it has no vocabulary")
        tokenizer: TokenizerT = cls.from_pretrained(
            directory, subfolder=subfolder, local_files_only=True
        )
        return tokenizer


@contextmanager
def weights_errors(folder: Path) -> Iterator[None]:
    """Turn every failure of the block into a `WeightsError` of one line that names `folder`."""
    try:
        yield
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise WeightsError(f"cannot load {folder}: {lines[0]}") from error


def _check_class(cls: type, folder: Path) -> None:
    config = read_json(folder / "config.json")
    declared = config.get("_class_name") or next(iter(config.get("architectures") or []), None)
    if declared != cls.__name__:
        raise WeightsError(f"cannot load {folder}: it holds {declared}, not {cls.__name__}")


def _check_report(report: Mapping[str, Iterable[Any]]) -> None:
    for kind in ("missing", "unexpected", "mismatched"):
        # A mismatched key comes with both shapes.
        keys = sorted(str(key) for key in report[f"{kind}_keys"])
        if keys:
            more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
            raise WeightsError(f"{kind} weight {keys[0]}{more}")
