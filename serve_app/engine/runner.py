"""One step of several jobs: one forward of the transformer, then an Euler step of each."""

from collections.abc import Sequence

import torch

from serve_app.diffusion.euler import euler_step
from serve_app.engine.job import Job, Standing
from serve_app.engine.packed import PackedInputs
from serve_app.engine.step_cache import predict
from serve_app.engine.transformers import Transformers


class Runner:
    """The only part of the engine that touches the model."""

    def __init__(self, transformers: Transformers) -> None:
        self._transformers = transformers

    @torch.no_grad()
    def step(self, jobs: Sequence[Job]) -> float:
        """Advance the jobs by one step, all of them or, if this raises, none.

        Returns:
            The floating-point operations that were computed.
        """
        before = [job.standing for job in jobs]
        try:
            self._advance(jobs)
        except BaseException:
            for job, standing in zip(jobs, before, strict=True):
                job.go_back(standing)
            raise
        return sum(map(_flops_since, jobs, before))

    def _advance(self, jobs: Sequence[Job]) -> None:
        for job, noise_pred in self._noise_preds(jobs):
            _advance(job, noise_pred)
        device = jobs[0].transformer.device
        if device.type != "cpu":
            # Else steps would queue up on the device: out of reach, and not to be timed.
            torch.accelerator.synchronize(device)

    def _noise_preds(self, jobs: Sequence[Job]) -> list[tuple[Job, torch.Tensor]]:
        """Return what the transformers say of the jobs' latents; each runs once."""
        by_transformer: dict[int, list[Job]] = {}
        for job in jobs:
            by_transformer.setdefault(id(job.transformer), []).append(job)
        return [
            pair
            for alike in by_transformer.values()
            for pair in zip(alike, self._noise_preds_of(alike), strict=True)
        ]

    def _noise_preds_of(self, jobs: Sequence[Job]) -> Sequence[torch.Tensor]:
        if len(jobs) == 1 and self._takes_stock_forward(jobs[0]):
            return [_noise_pred(jobs[0])]
        packed = self._transformers.of(jobs[0].transformer)
        caches = [job.step_cache for job in jobs]
        return [pred[None] for pred in predict(packed, _packed_inputs(jobs), caches)]

    def _takes_stock_forward(self, job: Job) -> bool:
        is_plain = job.step_cache is None and not job.adapters
        return is_plain and not self._transformers.are_compiled


def _noise_pred(job: Job) -> torch.Tensor:
    return job.transformer.predict(
        latents=job.latents,
        timestep=job.schedule.timesteps[job.num_steps_done],
        guidance_scale=job.guidance_scale,
        prompt_embeds=job.prompt_embeds,
        pooled_prompt_embeds=job.pooled_prompt_embeds,
        latent_image_ids=job.latent_image_ids,
    )


def _flops_since(job: Job, before: Standing) -> float:
    """Return the operations of a job's last step: all of them or, skipped, its first block's."""
    is_skipped = (
        job.step_cache is not None
        and before.step_cache is not None
        and job.step_cache.num_skipped > before.step_cache.num_skipped
    )
    if not is_skipped:
        return job.step_flops
    config = job.transformer.transformer.config
    return job.step_flops / float(config["num_layers"] + config["num_single_layers"])


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
