"""What the levels of `acceleration` save, and what they cost: held-out prompts, drawn and judged.

    python -m benchmarks.acceleration [--thresholds 0.05 0.1 0.2]

Every level draws the same pictures of the embedded model from the same noise. Shown are the steps
that are computed to the end, the processor time of denoising as a share of that without
acceleration, the shares of pictures that the judge finds right, and how far the pixels are from
those without acceleration, in levels of 255: the mean of all pictures, and of the farthest one.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from serve_app.config import EMBEDDED_MODEL_DIR, EngineConfig, ModelConfig
from serve_app.diffusion.euler import euler_step
from serve_app.engine.job import Job, text_to_image_job
from serve_app.engine.packed import PackedInputs, PackedTransformer
from serve_app.engine.step_cache import StepCache, predict
from serve_app.messages import DenoiseParams, Latents, PromptFacts, Size
from serve_app.stages.device import place
from serve_app.stages.text_encoder import TextEncoderStage
from serve_app.stages.transformer import TransformerStage
from serve_app.stages.vae import VaeStage
from serve_app.tiny_flux.evaluate import (
    EVALUATION_SEED,
    GUIDANCE_SCALE,
    held_out_prompts,
    shares,
)
from serve_app.tiny_flux.judge import judge
from serve_app.tiny_flux.language import Scene

DEFAULTS = EngineConfig()
LEVELS = {
    "none": None,
    "regular": DEFAULTS.regular_threshold,
    "high": DEFAULTS.high_threshold,
}
BATCH = 8


@dataclass(frozen=True, slots=True)
class Drawn:
    """All prompts' pictures at one level."""

    pictures: list[np.ndarray]
    num_computed: list[int]
    denoising_s: float


class Stages:
    """The embedded model, in one process."""

    def __init__(self) -> None:
        given = (EMBEDDED_MODEL_DIR, *place(ModelConfig(device="cpu", num_threads=1)))
        self._text_encoder = TextEncoderStage.load(*given)
        self._transformer = TransformerStage.load(*given)
        self._vae = VaeStage.load(*given)

    def draw(
        self, prompts: Sequence[str], canvas: Size, num_steps: int, threshold: float | None
    ) -> Drawn:
        """Return the pictures of all prompts, each with a cache of its own if there is one."""
        jobs = [self._job(prompt, index, canvas, num_steps) for index, prompt in enumerate(prompts)]
        caches = [None if threshold is None else StepCache(threshold) for _ in jobs]
        start = time.process_time()
        for first in range(0, len(jobs), BATCH):
            self._denoise(jobs[first : first + BATCH], caches[first : first + BATCH])
        denoising_s = time.process_time() - start
        return Drawn(
            pictures=[self._decode(job, canvas) for job in jobs],
            num_computed=[cache.num_computed if cache else num_steps for cache in caches],
            denoising_s=denoising_s,
        )

    def _job(self, prompt: str, index: int, canvas: Size, num_steps: int) -> Job:
        seed = EVALUATION_SEED + index
        params = DenoiseParams("benchmark", index, canvas, seed, num_steps, GUIDANCE_SCALE)
        return text_to_image_job(self._transformer, self._text_encoder.encode(prompt), params)

    @torch.no_grad()
    def _denoise(self, jobs: list[Job], caches: list[StepCache | None]) -> None:
        transformer = PackedTransformer(self._transformer.transformer)
        while not jobs[0].is_done:
            noise_preds = predict(transformer, _inputs(jobs), caches)
            for job, noise_pred in zip(jobs, noise_preds, strict=True):
                sigma, sigma_next = job.schedule.sigmas[job.num_steps_done :][:2]
                job.latents = euler_step(job.latents, noise_pred[None], sigma, sigma_next)
                job.num_steps_done += 1

    def _decode(self, job: Job, canvas: Size) -> np.ndarray:
        facts = PromptFacts(num_tokens=0, is_truncated=False)
        return self._vae.decode(Latents(job.latents, canvas, facts)).array


def _inputs(jobs: Sequence[Job]) -> PackedInputs:
    return PackedInputs(
        latents=[job.latents[0] for job in jobs],
        prompt_embeds=[job.prompt_embeds[0] for job in jobs],
        pooled_prompt_embeds=torch.cat([job.pooled_prompt_embeds for job in jobs]),
        timesteps=torch.stack([job.schedule.timesteps[job.num_steps_done] for job in jobs]),
        guidance_scales=torch.tensor([job.guidance_scale for job in jobs]),
        latent_image_ids=[job.latent_image_ids for job in jobs],
    )


def main(arguments: list[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        prog="acceleration",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--thresholds", type=float, nargs="*", help="in place of the levels")
    parser.add_argument("--prompts", type=int, default=24)
    parser.add_argument("--steps", type=int, default=28)
    parser.add_argument("--side", type=int, default=512, help="of the pictures, in pixels")
    options = parser.parse_args(arguments)
    levels: dict[str, float | None] = dict(LEVELS)
    if options.thresholds:
        levels = {"none": None} | {f"{one:g}": one for one in options.thresholds}
    prompts, canvas = held_out_prompts(options.prompts), Size(options.side, options.side)
    stages = Stages()
    drawn = {
        name: stages.draw([text for _, text in prompts], canvas, options.steps, threshold)
        for name, threshold in levels.items()
    }
    Console().print(table(drawn, [scene for scene, _ in prompts], levels))


def table(
    drawn: dict[str, Drawn], scenes: Sequence[Scene], levels: dict[str, float | None]
) -> Table:
    """Return one row per level, beside the level `none`."""
    exact = drawn["none"]
    shown = Table()
    headings = ("level", "threshold", "steps", "time", "background", "colour", "shape", "place")
    for heading in (*headings, "all", "pixels off", "farthest"):
        shown.add_column(heading, justify="right" if shown.columns else "left")
    for name, level in drawn.items():
        verdicts = [judge(*pair) for pair in zip(level.pictures, scenes, strict=True)]
        apart = [difference(*pair) for pair in zip(level.pictures, exact.pictures, strict=True)]
        shown.add_row(
            name,
            "" if levels[name] is None else f"{levels[name]:g}",
            f"{mean(level.num_computed):.1f}",
            f"{level.denoising_s / exact.denoising_s:.2f}",
            *(f"{share:.2f}" for share in shares(verdicts).values()),
            f"{mean(apart):.2f}",
            f"{max(apart):.2f}",
        )
    return shown


def difference(picture: np.ndarray, other: np.ndarray) -> float:
    """Return the mean absolute difference of two pictures, in levels of 255."""
    return float(np.abs(picture.astype(np.int16) - other.astype(np.int16)).mean())


if __name__ == "__main__":
    main(sys.argv[1:])
