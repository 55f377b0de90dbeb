"""Stages that do nothing, as fast as they can: what is left is HTTP, the API and Ray."""

import numpy as np
import torch

from serve_app.messages import (
    DenoiseParams,
    EncodedImage,
    Latents,
    Pixels,
    PromptEmbeds,
    PromptFacts,
    Verdict,
    WriteParams,
    WrittenImage,
)

FACTS = PromptFacts(num_tokens=1, is_truncated=False)


class NullTextEncoder:
    """Encodes every prompt as one zero."""

    async def encode(self, prompt: str) -> PromptEmbeds:
        """Return it."""
        return PromptEmbeds(torch.zeros(1, 1, 1), torch.zeros(1, 1), FACTS)


class NullDenoiser:
    """Takes no step."""

    async def denoise(
        self, embeds: PromptEmbeds, params: DenoiseParams, image: EncodedImage | None = None
    ) -> Latents:
        """Return one zero."""
        return Latents(torch.zeros(1, 1, 1), params.canvas, embeds.facts)


class NullVae:
    """Decodes everything to one pixel."""

    async def decode(self, latents: Latents) -> Pixels:
        """Return it."""
        return Pixels(np.zeros((1, 1, 3), np.uint8), latents.facts)


class NullImageWriter:
    """Compresses nothing."""

    async def write(
        self, pixels: Pixels, params: WriteParams, verdict: Verdict | None = None
    ) -> WrittenImage:
        """Return three bytes."""
        return WrittenImage(
            output=params.output,
            output_format=params.output_format,
            content=b"PNG",
            object_name=None,
            size_bytes=3,
            facts=pixels.facts,
        )
