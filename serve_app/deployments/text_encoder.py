"""The text encoders as a Serve deployment."""

from dataclasses import replace

from serve_app.config import ModelConfig
from serve_app.deployments.device_metrics import DeviceMetrics
from serve_app.deployments.end_replica import end_replica
from serve_app.deployments.logs import log_through_serve
from serve_app.deployments.stage_clock import StageClock
from serve_app.messages import PromptEmbeds, PromptFacts
from serve_app.stages.device import place
from serve_app.stages.stage_thread import StageThread
from serve_app.stages.text_encoder import TextEncoderStage


class TextEncoder:
    """Encodes prompts, one at a time."""

    def __init__(self, model: ModelConfig) -> None:
        log_through_serve()
        dtype, device = place(model)
        self._stage = TextEncoderStage.load(model.directory, dtype, device)
        self._thread = StageThread("text-encoder", end_replica)
        self._clock = StageClock()
        self._device = DeviceMetrics()

    async def encode(self, prompt: str) -> PromptEmbeds:
        """Return the prompt as the transformer reads it, on the CPU."""
        with self._clock.timing("encode") as timing:
            embeds = await self._thread.run(timing.timed(self._stage.encode), prompt)
        return replace(embeds, spent=timing.spent)

    async def count(self, prompt: str) -> PromptFacts:
        """Return how long the prompt is, without encoding it."""
        return self._stage.count(prompt)

    def check_health(self) -> None:
        """Tell Prometheus of its GPU; where no call would succeed any more, end here."""
        if not self._thread.is_healthy:
            end_replica("its thread stands still")
        self._device.publish()
