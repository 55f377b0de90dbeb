"""Record how a model was trained: the facts as JSON, the losses as a picture.

python -m serve_app.tiny_flux.record --folder STATE --curve docs/tiny-flux-training.png
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch

from serve_app.tiny_flux.batches import NEAR_NOISE, NEAR_NOISE_SHARE
from serve_app.tiny_flux.export import WEIGHTS
from serve_app.tiny_flux.train_flux import BAND_EDGES, MATRIX_RATE, OTHER_RATE, Progress
from serve_app.tiny_flux.vocabulary import MAX_TEXT_TOKENS

LOW, HIGH = BAND_EDGES
LABELS = ("all", f"noise below {LOW}", f"noise {LOW} to {HIGH}", f"noise above {HIGH}")


def read_progress(folder: Path) -> Progress:
    """Return what a training folder's state says of its past."""
    return Progress(*torch.load(folder / "state.pt")["progress"])


def training_facts(progress: Progress, seed: int, hardware: str) -> dict[str, Any]:
    """Return the facts of a training, ready for JSON."""
    return {
        "seed": seed,
        "steps": progress.step,
        "samples": progress.samples,
        "wall_seconds": round(progress.seconds),
        "hardware": hardware,
        "text_tokens": MAX_TEXT_TOKENS,
        "muon_rate": MATRIX_RATE,
        "adamw_rate": OTHER_RATE,
        "near_noise": {"above": NEAR_NOISE, "share": NEAR_NOISE_SHARE},
        "last_losses": dict(zip(LABELS, progress.lines[-1][1:], strict=True)),
    }


def draw_curve(progress: Progress, file: Path) -> None:
    """Draw the losses over the steps as a PNG."""
    from matplotlib.figure import Figure  # a tool of training, not of serving

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    steps, *losses = zip(*progress.lines, strict=True)
    for label, values in zip(LABELS, losses, strict=True):
        axes.plot(steps, values, label=label, linewidth=1)
    axes.set(xlabel="step", ylabel="mean squared error of the velocity", yscale="log")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(file, dpi=110)


def main(arguments: list[str]) -> None:
    """Record, as the command line says."""
    parser = argparse.ArgumentParser(
        prog="record", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, required=True, help="of the training")
    parser.add_argument("--facts", type=Path, default=WEIGHTS / "training.json")
    parser.add_argument("--curve", type=Path, required=True, help="PNG to write")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--hardware", default="2 CPU cores")
    options = parser.parse_args(arguments)
    progress = read_progress(options.folder)
    facts = training_facts(progress, options.seed, options.hardware)
    options.facts.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    draw_curve(progress, options.curve)


if __name__ == "__main__":
    main(sys.argv[1:])
