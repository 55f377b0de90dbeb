"""The text encoders as a Serve deployment."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from serve_app.config import ModelConfig
from serve_app.messages import PromptEmbeds, PromptFacts
from serve_app.stages.device import place
from serve_app.stages.text_encoder import TextEncoderStage


class TextEncoder:
    """Encodes prompts, one at a time: the stage's device is one."""

    def __init__(self, model: ModelConfig) -> None:
        dtype, device = place(model)
        self._stage = TextEncoderStage.load(model.directory, dtype, device)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="text-encoder")

    async def encode(self, prompt: str) -> PromptEmbeds:
        """Return the prompt as the transformer reads it, on the CPU."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._stage.encode, prompt)

    async def count(self, prompt: str) -> PromptFacts:
        """Return how long the prompt is, without encoding it."""
        return self._stage.count(prompt)
