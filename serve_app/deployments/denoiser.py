"""The transformer denoiser as a Serve deployment."""

import asyncio

from serve_app.config import ModelConfig
from serve_app.engine.engine import Engine
from serve_app.engine.job import text_to_image_job
from serve_app.errors import StageFailedError
from serve_app.messages import DenoiseParams, Latents, PromptEmbeds
from serve_app.stages.device import place
from serve_app.stages.transformer import TransformerStage


class Denoiser:
    """Denoises pictures; the engine owns the loop and its thread."""

    def __init__(self, model: ModelConfig) -> None:
        dtype, device = place(model)
        self._transformer = TransformerStage.load(model.directory, dtype, device)
        self._engine = Engine(self._transformer)

    async def denoise(self, embeds: PromptEmbeds, params: DenoiseParams) -> Latents:
        """Return a picture's latents, on the CPU.

        Cancelling this call makes its job leave the engine before the next step.
        """
        job = text_to_image_job(self._transformer, embeds, params)
        latents = await asyncio.wrap_future(self._engine.submit(job))
        return Latents(latents=latents, canvas=params.canvas, facts=embeds.facts)

    def check_health(self) -> None:
        """Tell Serve whether the engine can still denoise."""
        if not self._engine.is_alive:
            raise StageFailedError("denoiser")
