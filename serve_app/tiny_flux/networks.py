"""The text encoders and the transformer: FLUX's own classes, made small."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, FluxTransformer2DModel
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, T5Config, T5EncoderModel

from serve_app.tiny_flux.autoencoder import LATENT_CHANNELS

TOKEN_CHANNELS = 4 * LATENT_CHANNELS  # FLUX packs 2x2 latents into one token
HEADS, HEAD_WIDTH = 3, 48
AXES = (4, 22, 22)  # of a head: text, rows, columns
TEXT_WIDTH, POOLED_WIDTH = 128, 64
BASE_TOKENS, MAX_TOKENS = 16, 1024  # image tokens between which the schedule's shift grows
BASE_SHIFT, MAX_SHIFT = 0.5, 1.15


@dataclass(frozen=True, slots=True)
class Networks:
    """The three networks that train together."""

    clip: CLIPTextModel
    t5: T5EncoderModel
    transformer: FluxTransformer2DModel

    def module(self) -> nn.ModuleDict:
        """Return them as one module, for optimisers and checkpoints."""
        return nn.ModuleDict({"clip": self.clip, "t5": self.t5, "transformer": self.transformer})


def build_networks(clip_tokenizer: Any, t5_tokenizer: Any) -> Networks:
    """Return new networks for two tokenizers."""
    clip = CLIPTextConfig(
        vocab_size=len(clip_tokenizer),
        hidden_size=POOLED_WIDTH,
        intermediate_size=192,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=clip_tokenizer.model_max_length,
        projection_dim=POOLED_WIDTH,
        bos_token_id=clip_tokenizer.bos_token_id,
        eos_token_id=clip_tokenizer.eos_token_id,
        pad_token_id=clip_tokenizer.pad_token_id,
    )
    t5 = T5Config(
        vocab_size=len(t5_tokenizer),
        d_model=TEXT_WIDTH,
        d_kv=32,
        d_ff=256,
        num_layers=2,
        num_decoder_layers=2,
        num_heads=4,
        feed_forward_proj="gated-gelu",
        dropout_rate=0.0,
        pad_token_id=t5_tokenizer.pad_token_id,
        eos_token_id=t5_tokenizer.eos_token_id,
        decoder_start_token_id=t5_tokenizer.pad_token_id,
        tie_word_embeddings=False,
    )
    transformer = FluxTransformer2DModel(
        patch_size=1,
        in_channels=TOKEN_CHANNELS,
        num_layers=2,
        num_single_layers=4,
        attention_head_dim=HEAD_WIDTH,
        num_attention_heads=HEADS,
        joint_attention_dim=TEXT_WIDTH,
        pooled_projection_dim=POOLED_WIDTH,
        guidance_embeds=True,
        axes_dims_rope=AXES,
    )
    networks = Networks(CLIPTextModel(clip), T5EncoderModel(t5), transformer)
    with torch.no_grad():
        _start_quiet(networks)
    return networks


def load_networks(directory: Path) -> Networks:
    """Return the networks of a diffusers directory, in float32."""
    dtype = torch.float32
    return Networks(
        CLIPTextModel.from_pretrained(directory / "text_encoder", dtype=dtype),
        T5EncoderModel.from_pretrained(directory / "text_encoder_2", dtype=dtype),
        FluxTransformer2DModel.from_pretrained(directory / "transformer", dtype=dtype),
    )


def build_scheduler() -> FlowMatchEulerDiscreteScheduler:
    """Return the sampler: its shift grows with the canvas, as FLUX's does."""
    return FlowMatchEulerDiscreteScheduler(
        num_train_timesteps=1000,
        shift=3.0,
        use_dynamic_shifting=True,
        base_shift=BASE_SHIFT,
        max_shift=MAX_SHIFT,
        base_image_seq_len=BASE_TOKENS,
        max_image_seq_len=MAX_TOKENS,
    )


def schedule_shift(tokens: int) -> float:
    """Return the logarithm of the schedule's shift for a number of image tokens."""
    share = (tokens - BASE_TOKENS) / (MAX_TOKENS - BASE_TOKENS)
    return BASE_SHIFT + share * (MAX_SHIFT - BASE_SHIFT)


def _start_quiet(networks: Networks) -> None:
    """Start the modulations and the output at zero: each block begins as the identity."""
    for name, parameter in networks.transformer.named_parameters():
        modulation = ".norm" in name and ".linear." in name
        output = name.startswith(("norm_out.linear", "proj_out"))
        if modulation or output:
            parameter.zero_()
    networks.t5.shared.weight.normal_(0, 1)
