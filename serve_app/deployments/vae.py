"""The VAE as a Serve deployment."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from serve_app.config import ModelConfig
from serve_app.deployments.device_metrics import DeviceMetrics
from serve_app.deployments.end_replica import end_replica
from serve_app.deployments.logs import log_through_serve
from serve_app.deployments.stage_clock import StageClock
from serve_app.deployments.turns import Turns
from serve_app.imaging.fit import to_canvas
from serve_app.messages import EncodedImage, InputImage, Latents, Pixels, Size
from serve_app.stages.device import place
from serve_app.stages.stage_thread import StageThread
from serve_app.stages.vae import VaeStage


class Vae:
    """Decodes latents and encodes pictures, one at a time and previews last."""

    def __init__(self, model: ModelConfig) -> None:
        log_through_serve()
        dtype, device = place(model)
        stage = VaeStage.load(model.directory, dtype, device)
        self._stage = stage.with_linear_previews() if model.previews == "linear" else stage
        self._thread = StageThread("vae", end_replica)
        self._clock = StageClock()
        self._device = DeviceMetrics()
        self._turns = Turns()

    async def decode(self, latents: Latents) -> Pixels:
        """Return the picture the latents stand for."""
        with self._clock.timing("decode") as timing:
            decode = timing.timed(self._stage.decode)
            pixels = await self._thread.run(decode, latents, can_wait=latents.is_preview)
        return replace(pixels, spent=latents.spent + timing.spent)

    async def decode_suspect(self, latents: Latents) -> AsyncGenerator[Pixels | None]:
        """Yield None when it is the turn of these, then what `decode` returns."""
        async with aclosing(self._turns.taken_by(self._decoded(latents))) as taken:
            async for pixels in taken:
                yield pixels

    async def _decoded(self, latents: Latents) -> AsyncGenerator[Pixels]:
        yield await self.decode(latents)

    async def encode(self, image: InputImage, canvas: Size, seed: int) -> EncodedImage:
        """Return a client's picture as the denoiser starts from it, on the CPU."""
        with self._clock.timing("encode_image") as timing:
            encode = timing.timed(self._encode)
            encoded = await self._thread.run(encode, image, canvas, seed)
        return replace(encoded, spent=timing.spent)

    def check_health(self) -> None:
        """Tell Prometheus of its GPU; where no call would succeed any more, end here."""
        if not self._thread.is_healthy:
            end_replica("its thread stands still")
        self._device.publish()

    def _encode(self, image: InputImage, canvas: Size, seed: int) -> EncodedImage:
        encoded = self._stage.encode(to_canvas(image.picture, canvas), seed)
        if image.mask is None:
            return encoded
        return replace(encoded, mask=to_canvas(image.mask, canvas))
