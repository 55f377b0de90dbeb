"""The VAE as a Serve deployment."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from serve_app.config import ModelConfig
from serve_app.imaging.fit import to_canvas
from serve_app.messages import EncodedImage, InputImage, Latents, Pixels, Size
from serve_app.stages.device import place
from serve_app.stages.vae import VaeStage


class Vae:
    """Decodes latents and encodes pictures, one at a time: the stage's device is one."""

    def __init__(self, model: ModelConfig) -> None:
        dtype, device = place(model)
        self._stage = VaeStage.load(model.directory, dtype, device)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="vae")

    async def decode(self, latents: Latents) -> Pixels:
        """Return the picture the latents stand for."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._stage.decode, latents)

    async def encode(self, image: InputImage, canvas: Size, seed: int) -> EncodedImage:
        """Return a client's picture as the denoiser starts from it, on the CPU."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._encode, image, canvas, seed)

    def _encode(self, image: InputImage, canvas: Size, seed: int) -> EncodedImage:
        encoded = self._stage.encode(to_canvas(image.picture, canvas), seed)
        if image.mask is None:
            return encoded
        return replace(encoded, mask=to_canvas(image.mask, canvas))
