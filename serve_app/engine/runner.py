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
        job.latents = _next_latents(job, noise_pred)
        job.num_steps_done += 1


def _next_latents(job: Job, noise_pred: torch.Tensor) -> torch.Tensor:
    sigma, sigma_next = job.schedule.sigmas[job.num_steps_done :][:2]
    latents = euler_step(job.latents, noise_pred, sigma, sigma_next)
    return latents if job.repaint is None else job.repaint.blend(latents, sigma_next)
