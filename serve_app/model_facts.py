"""What must be known of a model before any weight is loaded, read from its JSON files."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serve_app.errors import WeightsError

MODEL_ID = "flux.1-krea-dev"  # in the API, and in the files it delivers

COMPONENTS = (
    "scheduler",
    "text_encoder",
    "text_encoder_2",
    "tokenizer",
    "tokenizer_2",
    "transformer",
    "vae",
)


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Numbers of one FLUX model that the API and the pipeline need.

    Attributes:
        canvas_multiple: Pixels per packed latent; a canvas is a multiple of it on each side.
        max_sequence_length: T5 tokens of a prompt, padding included.
    """

    canvas_multiple: int
    max_sequence_length: int


def read_model_facts(directory: Path) -> ModelFacts:
    """Return the facts of a diffusers directory.

    Raises:
        WeightsError: It is missing, or is not a FLUX model; the message is one line.
    """
    if not directory.is_dir():
        raise WeightsError(f"model directory {directory} does not exist")
    index = read_json(directory / "model_index.json")
    missing = [name for name in COMPONENTS if name not in index or not (directory / name).is_dir()]
    if missing:
        raise WeightsError(f"model directory {directory} lacks {', '.join(missing)}")
    vae = read_json(directory / "vae" / "config.json")
    tokenizer_2 = read_json(directory / "tokenizer_2" / "tokenizer_config.json")
    try:
        num_levels = len(vae["block_out_channels"])
        max_sequence_length = int(tokenizer_2["model_max_length"])
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"model directory {directory} is broken: no {error}") from error
    # Packing joins 2x2 latents, and each VAE level but the first halves the picture.
    return ModelFacts(canvas_multiple=2**num_levels, max_sequence_length=max_sequence_length)


def read_transformer_config(directory: Path) -> dict[str, Any]:
    """Return the config of a diffusers directory's transformer.

    Raises:
        WeightsError: It is missing or is not JSON; the message is one line.
    """
    return read_json(directory / "transformer" / "config.json")


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file.

    Raises:
        WeightsError: It is missing or is not one; the message is one line.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise WeightsError(f"{path} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise WeightsError(f"{path} is not a JSON object")
    return document
