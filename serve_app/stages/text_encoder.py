"""A prompt as the transformer reads it: T5's hidden states and CLIP's pooled output."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from transformers import CLIPTextModel, CLIPTokenizer, T5EncoderModel, T5Tokenizer

from serve_app.messages import PromptEmbeds, PromptFacts
from serve_app.stages.weights import load_model, load_tokenizer

ModelT = TypeVar("ModelT", CLIPTextModel, T5EncoderModel)


@dataclass(frozen=True, slots=True)
class TextEncoderStage:
    """Both text encoders with their tokenizers.

    Neither model gets an attention mask: FLUX.1 was trained to read the padding too, so
    `max_sequence_length` is part of what a prompt means.
    """

    tokenizer: CLIPTokenizer
    tokenizer_2: T5Tokenizer
    text_encoder: CLIPTextModel
    text_encoder_2: T5EncoderModel

    @classmethod
    def load(cls, directory: Path, dtype: torch.dtype, device: torch.device) -> "TextEncoderStage":
        """Return the stage of a diffusers directory.

        Raises:
            WeightsError: A part is missing or broken.
        """
        return cls(
            tokenizer=load_tokenizer(CLIPTokenizer, directory, "tokenizer"),
            tokenizer_2=load_tokenizer(T5Tokenizer, directory, "tokenizer_2"),
            text_encoder=_load(CLIPTextModel, directory, "text_encoder", dtype, device),
            text_encoder_2=_load(T5EncoderModel, directory, "text_encoder_2", dtype, device),
        )

    @property
    def max_sequence_length(self) -> int:
        """T5 tokens of a prompt, padding included."""
        return int(self.tokenizer_2.model_max_length)

    @torch.no_grad()
    def encode(self, prompt: str) -> PromptEmbeds:
        """Return the embeddings of one prompt, on the CPU and in the stage's dtype."""
        clip_ids = _padded_ids(self.tokenizer, prompt).to(self.text_encoder.device)
        t5_ids = _padded_ids(self.tokenizer_2, prompt).to(self.text_encoder_2.device)
        pooled_prompt_embeds = self.text_encoder(clip_ids).pooler_output
        prompt_embeds = self.text_encoder_2(t5_ids).last_hidden_state
        return PromptEmbeds(
            prompt_embeds=prompt_embeds.to(self.text_encoder_2.dtype).cpu(),
            pooled_prompt_embeds=pooled_prompt_embeds.to(self.text_encoder.dtype).cpu(),
            facts=self.count(prompt),
        )

    def count(self, prompt: str) -> PromptFacts:
        """Return how long a prompt is."""
        num_tokens = len(self.tokenizer_2(prompt, verbose=False).input_ids)
        return PromptFacts(
            num_tokens=min(num_tokens, self.max_sequence_length),
            is_truncated=num_tokens > self.max_sequence_length,
        )


def _load(
    cls: type[ModelT], directory: Path, subfolder: str, dtype: torch.dtype, device: torch.device
) -> ModelT:
    # A wrong shape then stands in the report; transformers' own error names no weight.
    return load_model(cls, directory, subfolder, dtype, device, ignore_mismatched_sizes=True)


def _padded_ids(tokenizer: CLIPTokenizer | T5Tokenizer, prompt: str) -> torch.Tensor:
    ids: torch.Tensor = tokenizer(
        [prompt],
        padding="max_length",
        max_length=tokenizer.model_max_length,
        truncation=True,
        return_tensors="pt",
    ).input_ids
    return ids
