"""FLUX.1 models of real classes and random weights, small enough to run in milliseconds."""

from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
)
from tokenizers import pre_tokenizers
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

MAX_SEQUENCE_LENGTH = 24
WIDTH = 32


@dataclass(frozen=True)
class RandomFlux:
    """What differs between two models."""

    num_vae_levels: int
    latent_channels: int
    guidance_embeds: bool
    num_layers: int = 1
    num_single_layers: int = 1

    @property
    def canvas_multiple(self) -> int:
        return int(2**self.num_vae_levels)


LIKE_FLUX = RandomFlux(num_vae_levels=4, latent_channels=16, guidance_embeds=True)
LIKE_EMBEDDED = RandomFlux(num_vae_levels=6, latent_channels=8, guidance_embeds=False)


def save_random_flux(model: RandomFlux, directory: Path) -> Path:
    torch.manual_seed(0)
    FluxPipeline(
        scheduler=scheduler(),
        vae=vae(model),
        text_encoder=text_encoder(),
        tokenizer=tokenizer(),
        text_encoder_2=text_encoder_2(),
        tokenizer_2=tokenizer_2(),
        transformer=transformer(model),
    ).save_pretrained(directory)
    return directory


def scheduler() -> FlowMatchEulerDiscreteScheduler:
    """Return the scheduler of FLUX.1 [dev]."""
    return FlowMatchEulerDiscreteScheduler(
        base_image_seq_len=256,
        base_shift=0.5,
        max_image_seq_len=4096,
        max_shift=1.15,
        num_train_timesteps=1000,
        shift=3.0,
        use_dynamic_shifting=True,
    )


def transformer(model: RandomFlux) -> FluxTransformer2DModel:
    return FluxTransformer2DModel(
        patch_size=1,
        in_channels=4 * model.latent_channels,
        num_layers=model.num_layers,
        num_single_layers=model.num_single_layers,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=WIDTH,
        pooled_projection_dim=WIDTH,
        guidance_embeds=model.guidance_embeds,
        axes_dims_rope=(4, 6, 6),
    )


def vae(model: RandomFlux) -> AutoencoderKL:
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * model.num_vae_levels,
        up_block_types=("UpDecoderBlock2D",) * model.num_vae_levels,
        block_out_channels=(4,) * model.num_vae_levels,
        layers_per_block=1,
        norm_num_groups=2,
        latent_channels=model.latent_channels,
        use_quant_conv=False,
        use_post_quant_conv=False,
        mid_block_add_attention=False,
        shift_factor=0.1159,
        scaling_factor=0.3611,
        sample_size=64,
    )
    with torch.no_grad():
        # Else every picture is nearly grey, and equal pictures prove little.
        vae.decoder.conv_out.weight *= 8
    return vae


def text_encoder() -> CLIPTextModel:
    config = CLIPTextConfig(
        hidden_size=WIDTH,
        intermediate_size=32,
        num_attention_heads=2,
        num_hidden_layers=1,
        vocab_size=len(clip_vocabulary()),
        projection_dim=WIDTH,
        bos_token_id=0,
        eos_token_id=2,
    )
    return CLIPTextModel(config)


def text_encoder_2() -> T5EncoderModel:
    config = T5Config(
        vocab_size=len(t5_pieces()),
        d_model=WIDTH,
        d_ff=32,
        d_kv=16,
        num_layers=1,
        num_heads=2,
        feed_forward_proj="gated-gelu",
    )
    return T5EncoderModel(config)


def tokenizer() -> CLIPTokenizer:
    return CLIPTokenizer(vocab=clip_vocabulary(), merges=[], model_max_length=77)


def tokenizer_2() -> T5Tokenizer:
    return T5Tokenizer(vocab=t5_pieces(), extra_ids=0, model_max_length=MAX_SEQUENCE_LENGTH)


def clip_vocabulary() -> dict[str, int]:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    ends = [f"{letter}</w>" for letter in letters]
    words = ["<|startoftext|>", "<pad>", "<|endoftext|>", *letters, *ends]
    return {word: index for index, word in enumerate(words)}


def t5_pieces() -> list[tuple[str, float]]:
    letters = [(chr(code), -3.0) for code in range(33, 127)]
    return [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0), *letters]
