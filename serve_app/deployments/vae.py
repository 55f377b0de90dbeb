"""The VAE as a Serve deployment."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from serve_app.config import ModelConfig
from serve_app.messages import Latents, Pixels
from serve_app.stages.device import place
from serve_app.stages.vae import VaeStage


class Vae:
    """Decodes latents, one picture at a time: the stage's device is one."""

    def __init__(self, model: ModelConfig) -> None:
        dtype, device = place(model)
        self._stage = VaeStage.load(model.directory, dtype, device)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="vae")

    async def decode(self, latents: Latents) -> Pixels:
        """Return the picture the latents stand for."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._stage.decode, latents)
