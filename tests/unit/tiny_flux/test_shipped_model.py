"""The model in git is FLUX in diffusers' own format, small, and as good as its record says."""

import json
from pathlib import Path

from diffusers import FluxPipeline

from serve_app.config import EMBEDDED_MODEL_DIR
from serve_app.tiny_flux.evaluate import SIZES, weights_sha256
from serve_app.tiny_flux.vocabulary import MAX_TEXT_TOKENS

MAX_BYTES = 20_000_000
AIM = {"background": 0.98, "color": 0.95, "shape": 0.85, "position": 0.85}
RECORD = json.loads((EMBEDDED_MODEL_DIR / "evaluation.json").read_text())


def test_flux_pipeline_loads_it() -> None:
    pipeline = FluxPipeline.from_pretrained(EMBEDDED_MODEL_DIR)
    assert pipeline.tokenizer_2.model_max_length == MAX_TEXT_TOKENS
    assert pipeline.transformer.config["guidance_embeds"]
    assert pipeline.scheduler.config["use_dynamic_shifting"]


def test_its_index_names_the_classes_that_flux_names() -> None:
    index = json.loads((EMBEDDED_MODEL_DIR / "model_index.json").read_text())
    classes = {name: value[1] for name, value in index.items() if isinstance(value, list)}
    assert {
        "scheduler": "FlowMatchEulerDiscreteScheduler",
        "text_encoder": "CLIPTextModel",
        "text_encoder_2": "T5EncoderModel",
        "tokenizer": "CLIPTokenizer",
        "tokenizer_2": "T5TokenizerFast",
        "transformer": "FluxTransformer2DModel",
        "vae": "AutoencoderKL",
    }.items() <= classes.items()


def test_it_is_small() -> None:
    files = [file for file in Path(EMBEDDED_MODEL_DIR).rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= MAX_BYTES


def test_every_served_shape_was_evaluated() -> None:
    assert set(RECORD["right"]) == {f"{width}x{height}" for width, height in SIZES}


def test_it_is_these_weights_that_were_evaluated() -> None:
    assert RECORD["weights_sha256"] == weights_sha256(EMBEDDED_MODEL_DIR)


def test_it_reaches_the_aim_at_every_size() -> None:
    short = {
        (size, name): right[name]
        for size, right in RECORD["right"].items()
        for name, aim in AIM.items()
        if right[name] < aim
    }
    assert short == {}
    assert RECORD["prompts"] >= 200
