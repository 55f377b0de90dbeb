"""Train the transformer and both text encoders together, by flow matching."""

import json
import logging
import random
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from serve_app.tiny_flux import ranks
from serve_app.tiny_flux.averaging import average_into
from serve_app.tiny_flux.batches import Batch, BatchMaker
from serve_app.tiny_flux.latent_pool import PoolReader
from serve_app.tiny_flux.muon import Muon
from serve_app.tiny_flux.networks import Networks, build_networks, load_networks
from serve_app.tiny_flux.vocabulary import build_clip_tokenizer, build_t5_tokenizer

logger = logging.getLogger(__name__)

MATRIX_RATE = 0.02  # Muon: matrices inside the blocks
OTHER_RATE = 2e-3  # AdamW: everything else
WARM_UP = 50  # steps
STEPS_PER_CHECKPOINT = 100
STEPS_PER_LINE = 25
BAND_EDGES = (0.6, 0.94)  # of noise, between which the losses are told apart


@dataclass(frozen=True, slots=True)
class FluxRun:
    """How long and with what the transformer trains.

    Attributes:
        folder: Where state and latents are kept.
        seconds: Wall time to spend.
        decay_seconds: Last part of it, in which the learning rates fall to nothing; 0 for none.
        tokens: Tokens of each of a step's three batches.
        rate: Factor on both learning rates.
        seed: Of the choices and the start.
    """

    folder: Path
    seconds: float
    decay_seconds: float
    tokens: int
    rate: float
    seed: int

    @property
    def state_file(self) -> Path:
        """Everything that a later run needs to go on."""
        return self.folder / "state.pt"


@dataclass(slots=True)
class Progress:
    """What has been done, over all runs.

    Attributes:
        step: Steps.
        samples: Pictures seen.
        seconds: Wall time.
        lines: Step and mean losses (all, low, middle, high noise), for the curve.
    """

    step: int = 0
    samples: int = 0
    seconds: float = 0.0
    lines: list[tuple[float, ...]] = field(default_factory=list)


class FluxTrainer:
    """Networks, optimisers, averages and progress of one training."""

    def __init__(self, run: FluxRun) -> None:
        """Start anew, or go on from the run's state file if there is one."""
        torch.manual_seed(run.seed)
        self._run = run
        clip_tokenizer, t5_tokenizer = build_clip_tokenizer(), build_t5_tokenizer()
        self._networks = build_networks(clip_tokenizer, t5_tokenizer)
        self._module = self._networks.module()
        matrices, others = _split_parameters(self._module)
        self._optimisers = (
            Muon(matrices, lr=MATRIX_RATE),
            torch.optim.AdamW(others, lr=OTHER_RATE, betas=(0.9, 0.98), weight_decay=0.01),
        )
        self._average = {name: value.clone() for name, value in self._module.state_dict().items()}
        self._progress = Progress()
        self._reader = PoolReader(run.folder / "pool")
        self._rng = random.Random(run.seed)
        self._maker = BatchMaker(self._reader.pools, clip_tokenizer, t5_tokenizer, self._rng)
        if run.state_file.exists():
            self._load()
        # Other pictures and other noise for every run and every process.
        seed = hash((run.seed, self._progress.step, ranks.rank()))
        torch.manual_seed(seed)
        self._rng.seed(seed)

    def adopt(self, weights: Path) -> None:
        """Start from a model that was exported: its networks and its past, fresh optimisers."""
        shipped = load_networks(weights).module().state_dict()
        self._module.load_state_dict(shipped)
        self._average = {name: value.clone() for name, value in shipped.items()}
        record = json.loads((weights / "training.json").read_text(encoding="utf-8"))
        self._progress = Progress(record["steps"], record["samples"], record["wall_seconds"])
        self._save(self._run.state_file)

    def train(self) -> None:
        """Train for the run's time, or until asked to stop by SIGTERM."""
        stopped: list[int] = []
        signal.signal(signal.SIGTERM, lambda number, _frame: stopped.append(number))
        run, progress = self._run, self._progress
        start, before, decaying = time.monotonic(), progress.seconds, False
        losses: list[Tensor] = []
        self._reader.refresh()
        # Process 0's clock and signals count for all: a step that only some make would hang.
        while (left := ranks.agreed(0 if stopped else start + run.seconds - time.monotonic())) > 0:
            if run.decay_seconds and left < run.decay_seconds and not decaying:
                decaying = True
                self._save(run.folder / "state-before-decay.pt")
            decay = left / run.decay_seconds if decaying else 1.0
            losses.append(self._step(run.rate * decay * min(1.0, (progress.step + 1) / WARM_UP)))
            progress.seconds = before + time.monotonic() - start
            if progress.step % STEPS_PER_LINE == 0:
                self._report(losses)
                losses.clear()
            if progress.step % STEPS_PER_CHECKPOINT == 0:
                logger.info("pool of %d pictures", self._reader.refresh())
                self._save(run.state_file)
        self._save(run.state_file)

    def _step(self, factor: float) -> Tensor:
        for optimiser, rate in zip(self._optimisers, (MATRIX_RATE, OTHER_RATE), strict=True):
            optimiser.zero_grad()
            for group in optimiser.param_groups:
                group["lr"] = rate * factor
        batches = self._maker.group(self._run.tokens)
        bands = []
        for batch in batches:
            losses = (_velocity(self._networks, batch) - batch.velocity).square().mean((1, 2))
            (losses.mean() / len(batches)).backward()
            bands.append(_bands(losses.detach(), batch.sigma))
            self._progress.samples += len(losses) * ranks.num_ranks()
        ranks.average_gradients(self._module.parameters())
        nn.utils.clip_grad_norm_(self._module.parameters(), 1.0)
        for optimiser in self._optimisers:
            optimiser.step()
        self._progress.step += 1
        average_into(self._average, self._module.state_dict(), self._progress.step)
        return torch.stack(bands)

    def _report(self, losses: list[Tensor]) -> None:
        if ranks.rank() > 0:
            return
        progress = self._progress
        by_group = torch.stack(losses).nanmean(0)
        means = by_group.nanmean(0).tolist()
        progress.lines.append((progress.step, *means))
        logger.info(
            "step %d, %.0f s, %d samples, loss %.4f (low %.4f, middle %.4f, high %.4f; "
            "small or middle %.4f, large %.4f, %.4f)",
            progress.step,
            progress.seconds,
            progress.samples,
            *means,
            *by_group[:, 0].tolist(),
        )

    def _save(self, path: Path) -> None:
        if ranks.rank() > 0:
            return
        state: dict[str, Any] = {
            "module": self._module.state_dict(),
            "average": self._average,
            "optimisers": [optimiser.state_dict() for optimiser in self._optimisers],
            "progress": (
                self._progress.step,
                self._progress.samples,
                self._progress.seconds,
                self._progress.lines,
            ),
        }
        partial = path.with_suffix(".partial")
        torch.save(state, partial)
        partial.rename(path)

    def _load(self) -> None:
        state = torch.load(self._run.state_file)
        self._module.load_state_dict(state["module"])
        self._average = state["average"]
        for optimiser, saved in zip(self._optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self._progress = Progress(*state["progress"])


def _velocity(networks: Networks, batch: Batch) -> Tensor:
    pooled = networks.clip(input_ids=batch.clip_ids).pooler_output
    text = networks.t5(input_ids=batch.t5_ids)[0]
    prediction: Tensor = networks.transformer(
        hidden_states=batch.noisy,
        encoder_hidden_states=text,
        pooled_projections=pooled,
        timestep=batch.sigma,
        img_ids=batch.image_ids,
        txt_ids=torch.zeros(text.shape[1], 3),
        guidance=batch.guidance,
        return_dict=False,
    )[0]
    return prediction


def _bands(losses: Tensor, sigma: Tensor) -> Tensor:
    """Return the mean loss over all samples and in three bands of noise, shape (4,)."""
    low, high = sigma < BAND_EDGES[0], sigma > BAND_EDGES[1]
    parts = (losses, losses[low], losses[~low & ~high], losses[high])
    return torch.stack([part.mean() for part in parts])


def _split_parameters(module: nn.ModuleDict) -> tuple[list[Tensor], list[Tensor]]:
    """Return the matrices that Muon is for, and all other parameters."""
    matrices: list[Tensor] = []
    others: list[Tensor] = []
    for name, parameter in module.named_parameters():
        inner = "block" in name and "norm" not in name and "relative" not in name
        (matrices if inner and parameter.ndim == 2 else others).append(parameter)
    return matrices, others
