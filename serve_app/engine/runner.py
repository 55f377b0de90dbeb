"""One denoising step of one job: a forward of the transformer, then an Euler step."""

import torch

from serve_app.diffusion.euler import euler_step
from serve_app.engine.job import Job
from serve_app.stages.transformer import TransformerStage


class Runner:
    """The only part of the engine that touches the model."""

    def __init__(self, transformer: TransformerStage) -> None:
        self._transformer = transformer

    @torch.no_grad()
    def step(self, job: Job) -> None:
        """Advance `job` by one step."""
        noise_pred = self._transformer.predict(
            latents=job.latents,
            timestep=job.schedule.timesteps[job.num_steps_done],
            guidance_scale=job.guidance_scale,
            prompt_embeds=job.prompt_embeds,
            pooled_prompt_embeds=job.pooled_prompt_embeds,
            latent_image_ids=job.latent_image_ids,
        )
        sigma_next = job.schedule.sigmas[job.num_steps_done + 1]
        latents = _latents_at(sigma_next, job, noise_pred)
        if job.on_preview is not None and job.num_steps_done + 1 in job.preview_steps:
            # What the picture would be if the rest of the way were straight.
            job.on_preview(_latents_at(job.schedule.sigmas[-1], job, noise_pred).cpu())
        job.latents = latents
        job.num_steps_done += 1


def _latents_at(sigma_next: torch.Tensor, job: Job, noise_pred: torch.Tensor) -> torch.Tensor:
    """Return where the job's latents go from where they stand, at noise level `sigma_next`."""
    sigma = job.schedule.sigmas[job.num_steps_done]
    latents = euler_step(job.latents, noise_pred, sigma, sigma_next)
    return latents if job.repaint is None else job.repaint.blend(latents, sigma_next)
