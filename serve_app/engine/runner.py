"""One step of several jobs: one forward of each transformer, then an Euler step of each job."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch

from serve_app.diffusion.euler import euler_step
from serve_app.engine.cost_model import CostModel
from serve_app.engine.job import Job
from serve_app.engine.packed import PackedInputs
from serve_app.engine.step_cache import predict
from serve_app.engine.transformers import Transformers


@dataclass(frozen=True, slots=True)
class Ran:
    """What one transformer did in a step.

    Attributes:
        transformer: Tells it from others.
        flops: Floating-point operations that were computed, for each job.
        seconds: From the start of its forward to the last Euler step.
    """

    transformer: int
    flops: dict[Job, float]
    seconds: float

    def teach(self, cost_model: CostModel) -> None:
        """Let the cost model learn from it, and each job have its own part of the seconds."""
        all_flops = sum(self.flops.values())
        cost_model.observe(all_flops, self.seconds, self.transformer)
        for job, flops in self.flops.items():
            job.own_s += cost_model.alone_s(flops, all_flops, self.seconds, self.transformer)


class Runner:
    """The only part of the engine that touches the model."""

    def __init__(self, transformers: Transformers) -> None:
        self._transformers = transformers

    @torch.no_grad()
    def step(self, jobs: Sequence[Job]) -> Sequence[Ran]:
        """Advance the jobs by one step, all of them or, if this raises, none.

        Returns:
            What each transformer did.
        """
        before = [job.standing for job in jobs]
        try:
            return [self._ran(alike) for alike in _by_transformer(jobs)]
        except BaseException:
            for job, standing in zip(jobs, before, strict=True):
                job.go_back(standing)
            raise

    def _ran(self, jobs: Sequence[Job]) -> Ran:
        """Advance jobs of one transformer, which runs once."""
        started, before = time.monotonic(), {job: job.num_computed for job in jobs}
        for job, noise_pred in zip(jobs, self._noise_preds_of(jobs), strict=True):
            _advance(job, noise_pred)
        device = jobs[0].transformer.device
        if device.type != "cpu":
            # Else steps would queue up on the device: out of reach, and not to be timed.
            torch.accelerator.synchronize(device)
        flops = {job: (job.num_computed - before[job]) * job.whole_step_flops for job in jobs}
        return Ran(jobs[0].transformer_id, flops, time.monotonic() - started)

    def _noise_preds_of(self, jobs: Sequence[Job]) -> Sequence[torch.Tensor]:
        if len(jobs) == 1 and self._takes_stock_forward(jobs[0]):
            return [_noise_pred(jobs[0])]
        packed = self._transformers.of(jobs[0].transformer)
        caches = [job.step_cache for job in jobs]
        return [pred[None] for pred in predict(packed, _packed_inputs(jobs), caches)]

    def _takes_stock_forward(self, job: Job) -> bool:
        is_plain = job.step_cache is None and not job.adapters
        return is_plain and not self._transformers.are_compiled


def _by_transformer(jobs: Sequence[Job]) -> Iterable[list[Job]]:
    groups: dict[int, list[Job]] = {}
    for job in jobs:
        groups.setdefault(job.transformer_id, []).append(job)
    return groups.values()


def _noise_pred(job: Job) -> torch.Tensor:
    return job.transformer.predict(
        latents=job.latents,
        timestep=job.schedule.timesteps[job.num_steps_done],
        guidance_scale=job.guidance_scale,
        prompt_embeds=job.prompt_embeds,
        pooled_prompt_embeds=job.pooled_prompt_embeds,
        latent_image_ids=job.latent_image_ids,
    )


def _packed_inputs(jobs: Sequence[Job]) -> PackedInputs:
    device = jobs[0].latents.device
    return PackedInputs(
        latents=[job.latents[0] for job in jobs],
        prompt_embeds=[job.prompt_embeds[0] for job in jobs],
        pooled_prompt_embeds=torch.cat([job.pooled_prompt_embeds for job in jobs]),
        timesteps=torch.stack([job.schedule.timesteps[job.num_steps_done] for job in jobs]),
        guidance_scales=torch.tensor([job.guidance_scale for job in jobs], device=device),
        latent_image_ids=[job.latent_image_ids for job in jobs],
        adapters=[job.adapters for job in jobs],
    )


def _advance(job: Job, noise_pred: torch.Tensor) -> None:
    latents = _latents_at(job.schedule.sigmas[job.num_steps_done + 1], job, noise_pred)
    if job.wants_preview:
        # What the picture would be if the rest of the way were straight.
        job.preview = _latents_at(job.schedule.sigmas[-1], job, noise_pred)
    job.latents = latents
    job.num_steps_done += 1


def _latents_at(sigma_next: torch.Tensor, job: Job, noise_pred: torch.Tensor) -> torch.Tensor:
    """Return where the job's latents go from where they stand, at noise level `sigma_next`."""
    sigma = job.schedule.sigmas[job.num_steps_done]
    latents = euler_step(job.latents, noise_pred, sigma, sigma_next)
    return latents if job.repaint is None else job.repaint.blend(latents, sigma_next)
