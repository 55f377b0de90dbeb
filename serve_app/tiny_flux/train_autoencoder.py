"""Train the autoencoder: first all of it, then the decoder alone on slightly noisy latents."""

import logging
import random
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from serve_app.tiny_flux.autoencoder import build_autoencoder, rescale_latents
from serve_app.tiny_flux.averaging import average_into
from serve_app.tiny_flux.language import all_scenes
from serve_app.tiny_flux.pictures import Drawing, Window, lay_out, render

logger = logging.getLogger(__name__)

LEARNING_RATE = 1.5e-3
DECODER_LEARNING_RATE = 7e-4
PRIOR_WEIGHT = 5e-4
CANVASES = ((256, 256), (256, 256), (320, 256), (512, 512), (768, 512), (1024, 1024), (1600, 704))
CROP = 128  # pixels
WHOLE = 256  # pixels


@dataclass(frozen=True, slots=True)
class AutoencoderRun:
    """How long and on what the autoencoder trains.

    Attributes:
        folder: Where its state is kept.
        seconds: Wall time to spend.
        seed: Of the pictures and the start.
    """

    folder: Path
    seconds: float
    seed: int


def train_autoencoder(run: AutoencoderRun) -> None:
    """Train encoder and decoder, from their linear start or on from the last run's end.

    At the end the latents' scale is fixed, so latents made before are void.
    """
    torch.manual_seed(run.seed)
    saved = run.folder / "vae"
    model = AutoencoderKL.from_pretrained(saved) if saved.exists() else build_autoencoder()
    model = _optimise(model, run, LEARNING_RATE, decoder_only=False)
    with torch.no_grad():
        rng = random.Random(run.seed)
        latents = model.encode(_pictures(64, WHOLE, rng, whole=True)).latent_dist.mode()
    logger.info("latent deviations %s", latents.std(dim=(0, 2, 3)).numpy().round(2))
    rescale_latents(model, latents)
    model.save_pretrained(saved)


def refine_decoder(run: AutoencoderRun) -> None:
    """Train the decoder alone, so that latents made before stay valid."""
    torch.manual_seed(run.seed)
    model = AutoencoderKL.from_pretrained(run.folder / "vae")
    model.encoder.requires_grad_(False)
    model = _optimise(model, run, DECODER_LEARNING_RATE, decoder_only=True)
    model.save_pretrained(run.folder / "vae_refined")


def _optimise(
    model: AutoencoderKL, run: AutoencoderRun, peak: float, *, decoder_only: bool
) -> AutoencoderKL:
    model = model.to(memory_format=torch.channels_last)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=peak, betas=(0.9, 0.98), weight_decay=1e-3)
    average = {name: value.clone() for name, value in model.state_dict().items()}
    rng = random.Random(run.seed)
    start, step, errors = time.monotonic(), 0, []
    while (spent := (time.monotonic() - start) / run.seconds) < 1:
        step += 1
        rate = peak * min(1.0, step / 30, (1 - spent) / 0.6)
        for group in optimiser.param_groups:
            group["lr"] = max(rate, 2e-5)
        whole = rng.random() < 0.5
        pictures = _pictures(2 if whole else 6, WHOLE if whole else CROP, rng, whole=whole)
        loss, error = _loss(model, pictures, rng, decoder_only=decoder_only)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        average_into(average, model.state_dict(), step)
        errors.append(error)
        if step % 25 == 0:
            decibels = -10 * np.log10(np.mean(errors[-25:]) / 4)
            logger.info("step %d, %.0f%%, PSNR %.1f dB", step, 100 * spent, decibels)
    model.load_state_dict(average)
    return model


def _loss(
    model: AutoencoderKL, pictures: Tensor, rng: random.Random, *, decoder_only: bool
) -> tuple[Tensor, float]:
    with torch.set_grad_enabled(not decoder_only):
        posterior = model.encode(pictures).latent_dist
    if decoder_only:
        # A sampled latent is never exact: learn to draw cleanly from nearly right ones too.
        noise = rng.uniform(0, 0.25) if rng.random() < 0.6 else 0.0
        latents = posterior.mean + noise * torch.randn_like(posterior.mean)
        prior = torch.zeros(())
    else:
        latents = posterior.sample()
        prior = posterior.kl().mean() / posterior.mean[0].numel()
    difference = model.decode(latents).sample - pictures
    edges = difference.diff(dim=2).abs().mean() + difference.diff(dim=3).abs().mean()
    square = difference.square().mean()
    loss = difference.abs().mean() + square + 0.5 * edges + PRIOR_WEIGHT * prior
    return loss, float(square.detach())


def _pictures(count: int, side: int, rng: random.Random, *, whole: bool) -> Tensor:
    """Return pictures in -1 to 1, shape (count, 3, side, side)."""
    scenes = all_scenes()
    batch = []
    for _ in range(count):
        width, height = (side, side) if whole else rng.choice(CANVASES)
        drawing = lay_out(rng.choice(scenes), width, height, rng)
        window = Window(0, 0, side, side) if whole else _window(drawing, width, height, rng)
        batch.append(torch.from_numpy(render(drawing, width, height, window)))
    pixels = torch.stack(batch).permute(0, 3, 1, 2).float() / 127.5 - 1
    return pixels.contiguous(memory_format=torch.channels_last)


def _window(drawing: Drawing, width: int, height: int, rng: random.Random) -> Window:
    """Choose a crop, most often one that an outline goes through."""
    if rng.random() < 0.15:
        return Window(rng.randint(0, width - CROP), rng.randint(0, height - CROP), CROP, CROP)
    radius = drawing.radius * min(width, height)
    angle = rng.uniform(0, 2 * np.pi)
    x = drawing.center[0] * width + radius * np.cos(angle) - CROP * rng.uniform(0.1, 0.9)
    y = drawing.center[1] * height + radius * np.sin(angle) - CROP * rng.uniform(0.1, 0.9)
    left = min(max(0, int(x)), width - CROP)
    top = min(max(0, int(y)), height - CROP)
    return Window(left, top, CROP, CROP)
