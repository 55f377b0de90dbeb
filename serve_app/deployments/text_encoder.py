"""The text encoders as a Serve deployment."""

from serve_app.config import ModelConfig
from serve_app.messages import PromptEmbeds, PromptFacts
from serve_app.stages.device import place
from serve_app.stages.stage_thread import StageThread
from serve_app.stages.text_encoder import TextEncoderStage


class TextEncoder:
    """Encodes prompts, one at a time."""

    def __init__(self, model: ModelConfig) -> None:
        dtype, device = place(model)
        self._stage = TextEncoderStage.load(model.directory, dtype, device)
        self._thread = StageThread("text-encoder")

    async def encode(self, prompt: str) -> PromptEmbeds:
        """Return the prompt as the transformer reads it, on the CPU."""
        return await self._thread.run(self._stage.encode, prompt)

    async def count(self, prompt: str) -> PromptFacts:
        """Return how long the prompt is, without encoding it."""
        return self._stage.count(prompt)
