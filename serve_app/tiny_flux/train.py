"""Train the tiny FLUX, one stage after the other.

    python -m serve_app.tiny_flux.train adopt   --folder STATE
    python -m serve_app.tiny_flux.train vae     --folder STATE --seconds 600
    python -m serve_app.tiny_flux.train latents --folder STATE --seconds 600 --seed 1
    python -m serve_app.tiny_flux.train decoder --folder STATE --seconds 600
    torchrun --nproc-per-node 2 -m serve_app.tiny_flux.train flux --folder STATE --seconds 5000

"adopt" makes a STATE of the shipped weights, to train them further with fresh optimisers.
The last stage goes on from STATE/state.pt if there is one; while it runs, "latents" with another
seed may add to its pool and "decoder" may run beside it.
"""

import argparse
import logging
import sys
from pathlib import Path

import torch
from diffusers import AutoencoderKL

from serve_app.stages.memory import keep_freed_memory
from serve_app.tiny_flux import ranks
from serve_app.tiny_flux.export import WEIGHTS
from serve_app.tiny_flux.latent_pool import fill_pool
from serve_app.tiny_flux.train_autoencoder import (
    AutoencoderRun,
    refine_decoder,
    train_autoencoder,
)
from serve_app.tiny_flux.train_flux import FluxRun, FluxTrainer


def main(arguments: list[str]) -> None:
    """Run one stage of training, as the command line says."""
    parser = argparse.ArgumentParser(
        prog="train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stage", choices=("adopt", "vae", "latents", "decoder", "flux"))
    parser.add_argument("--folder", type=Path, required=True, help="where the state is kept")
    parser.add_argument("--seconds", type=float, default=0, help="wall time to spend")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--decay-seconds", type=float, default=0, help="flux: of falling rates")
    parser.add_argument("--tokens", type=int, default=1600, help="flux: tokens of a batch")
    parser.add_argument("--rate", type=float, default=1.0, help="flux: factor on learning rates")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    folder, seconds, seed = options.folder, options.seconds, options.seed
    run = FluxRun(folder, seconds, options.decay_seconds, options.tokens, options.rate, seed)
    if options.stage == "adopt":
        adopt(run)
    elif options.stage == "vae":
        train_autoencoder(AutoencoderRun(folder, seconds, seed))
    elif options.stage == "decoder":
        refine_decoder(AutoencoderRun(folder, seconds, seed))
    elif options.stage == "latents":
        keep_freed_memory()
        fill_pool(folder / "vae", folder / "pool", seconds, seed)
    else:
        with ranks.joined():
            FluxTrainer(run).train()


def adopt(run: FluxRun) -> None:
    """Make the shipped model a training folder again: its autoencoder and a state."""
    run.folder.mkdir(parents=True, exist_ok=True)
    AutoencoderKL.from_pretrained(WEIGHTS / "vae", dtype=torch.float32).save_pretrained(
        run.folder / "vae"
    )
    FluxTrainer(run).adopt(WEIGHTS)


if __name__ == "__main__":
    main(sys.argv[1:])
