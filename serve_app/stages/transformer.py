"""The transformer: what it predicts for one picture at one noise level."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel

from serve_app.diffusion.latents import text_ids
from serve_app.diffusion.schedule import SchedulerConfig
from serve_app.model_facts import read_model_facts
from serve_app.stages.quantization import Scheme, load_quantized
from serve_app.stages.scheduler_config import load_scheduler_config
from serve_app.stages.weights import load_model


@dataclass(frozen=True, slots=True)
class TransformerStage:
    """The transformer with what a denoising must know of the model.

    Attributes:
        transformer: The model.
        scheduler_config: Of its noise levels.
        vae_scale_factor: Pixels per unpacked latent.
    """

    transformer: FluxTransformer2DModel
    scheduler_config: SchedulerConfig
    vae_scale_factor: int

    @classmethod
    def load(cls, directory: Path, dtype: torch.dtype, device: torch.device) -> "TransformerStage":
        """Return the stage of a diffusers directory.

        Raises:
            WeightsError: A part is missing or broken.
        """
        # Packing joins 2x2 latents to one token.
        vae_scale_factor = read_model_facts(directory).canvas_multiple // 2
        return cls(
            transformer=load_model(FluxTransformer2DModel, directory, "transformer", dtype, device),
            scheduler_config=load_scheduler_config(directory),
            vae_scale_factor=vae_scale_factor,
        )

    def in_8_bits(self, directory: Path, scheme: Scheme) -> "TransformerStage":
        """Return the same stage with a transformer of its own in 8 bits.

        Raises:
            ConfigError: The device or the dtype cannot do it.
            WeightsError: The weights are missing or broken.
        """
        return replace(self, transformer=load_quantized(directory, scheme, self.dtype, self.device))

    @property
    def num_latent_channels(self) -> int:
        """Channels of unpacked latents; 16 for FLUX.1."""
        return int(self.transformer.config["in_channels"]) // 4

    @property
    def dtype(self) -> torch.dtype:
        """Of its arithmetic, and of latents and noise."""
        dtype: torch.dtype = self.transformer.dtype
        return dtype

    @property
    def device(self) -> torch.device:
        """Where it calculates."""
        device: torch.device = self.transformer.device
        return device

    def to_device(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return a tensor where and in what dtype the transformer reads it."""
        return tensor.to(device=self.device, dtype=self.dtype)

    @torch.no_grad()
    def predict(
        self,
        latents: torch.Tensor,
        timestep: torch.Tensor,
        guidance_scale: float,
        prompt_embeds: torch.Tensor,
        pooled_prompt_embeds: torch.Tensor,
        latent_image_ids: torch.Tensor,
    ) -> torch.Tensor:
        """Return `noise_pred`, of the shape and dtype of `latents`.

        Args:
            latents: (1, image_seq_len, 4 * num_latent_channels).
            timestep: 0-dim float32, of the schedule: 0 to 1000.
            guidance_scale: Ignored by a model without guidance embedding.
            prompt_embeds: (1, max_sequence_length, joint_attention_dim).
            pooled_prompt_embeds: (1, pooled_projection_dim).
            latent_image_ids: (image_seq_len, 3).
        """
        noise_pred: torch.Tensor = self.transformer(
            hidden_states=latents,
            # Rounded before it is divided, as FluxPipeline does: the order shows in bfloat16.
            timestep=timestep.expand(len(latents)).to(latents.dtype) / 1000,
            guidance=self._guidance(guidance_scale, len(latents)),
            pooled_projections=pooled_prompt_embeds,
            encoder_hidden_states=prompt_embeds,
            txt_ids=self.to_device(text_ids(prompt_embeds.shape[1], self.dtype)),
            img_ids=latent_image_ids,
            return_dict=False,
        )[0]
        return noise_pred

    def _guidance(self, guidance_scale: float, batch: int) -> torch.Tensor | None:
        if not self.transformer.config["guidance_embeds"]:
            return None
        return torch.full([batch], guidance_scale, dtype=torch.float32, device=self.device)
