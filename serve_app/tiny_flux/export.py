"""Make a training state the diffusers directory that is served.

    python -m serve_app.tiny_flux.export --folder STATE

Weights are stored in float16, half the bytes of the float32 they are served in.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

import torch
from diffusers import AutoencoderKL, FluxPipeline

from serve_app.tiny_flux.networks import build_networks, build_scheduler
from serve_app.tiny_flux.vocabulary import (
    build_clip_tokenizer,
    build_t5_tokenizer,
    save_clip_tokenizer,
)

WEIGHTS = Path(__file__).parent / "weights"


def export(folder: Path, directory: Path) -> None:
    """Write the averaged networks of a training state as a diffusers directory.

    Args:
        folder: Of the training: `state.pt` and `vae` (or `vae_refined`, if there is one).
        directory: To replace.
    """
    partial = directory.with_name(directory.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    pipeline = assemble(folder)
    pipeline.to(torch.float16).save_pretrained(partial)
    save_clip_tokenizer(pipeline.tokenizer, partial / "tokenizer")
    _name_fast_tokenizer(partial / "model_index.json")
    _forget_origin(partial / "vae" / "config.json")
    for record in directory.glob("*.json"):
        if record.name != "model_index.json":
            shutil.copy(record, partial)
    shutil.rmtree(directory, ignore_errors=True)
    partial.rename(directory)


def assemble(folder: Path) -> FluxPipeline:
    """Return the pipeline of a training state, in float32."""
    clip_tokenizer, t5_tokenizer = build_clip_tokenizer(), build_t5_tokenizer()
    networks = build_networks(clip_tokenizer, t5_tokenizer)
    networks.module().load_state_dict(torch.load(folder / "state.pt")["average"])
    refined = folder / "vae_refined"
    vae = AutoencoderKL.from_pretrained(refined if refined.exists() else folder / "vae")
    return FluxPipeline(
        scheduler=build_scheduler(),
        vae=vae,
        text_encoder=networks.clip,
        tokenizer=clip_tokenizer,
        text_encoder_2=networks.t5,
        tokenizer_2=t5_tokenizer,
        transformer=networks.transformer,
    )


def _name_fast_tokenizer(index: Path) -> None:
    """Name the class that FLUX's own index names; transformers 5 knows it as an alias."""
    document = json.loads(index.read_text(encoding="utf-8"))
    document["tokenizer_2"] = ["transformers", "T5TokenizerFast"]
    index.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _forget_origin(config: Path) -> None:
    """Drop the folder that a component was loaded from: it says nothing to anybody else."""
    document = json.loads(config.read_text(encoding="utf-8"))
    document.pop("_name_or_path", None)
    config.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def main(arguments: list[str]) -> None:
    """Export, as the command line says."""
    parser = argparse.ArgumentParser(
        prog="export", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, required=True, help="of the training")
    parser.add_argument("--directory", type=Path, default=WEIGHTS)
    options = parser.parse_args(arguments)
    export(options.folder, options.directory)


if __name__ == "__main__":
    main(sys.argv[1:])
