"""FLUX.1's models with random weights, made where they are used: nothing is downloaded."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from diffusers import AutoencoderKL, FluxTransformer2DModel
from torch.utils.flop_counter import FlopCounterMode
from transformers import CLIPTextConfig, CLIPTextModel, T5Config, T5EncoderModel

from serve_app.config import EMBEDDED_MODEL_DIR
from serve_app.model_facts import read_model_facts

ModelT = TypeVar("ModelT", bound=torch.nn.Module)


@dataclass(frozen=True, slots=True)
class Family:
    """How to make the models of one FLUX; each function makes a new one.

    Attributes:
        transformer: The denoiser.
        t5: The encoder of `prompt_embeds`.
        clip: The encoder of `pooled_prompt_embeds`.
        vae: The decoder of latents, with its encoder.
        text_length: T5 tokens of a prompt.
        canvas_multiple: Pixels per token, on each side.
    """

    transformer: Callable[[], FluxTransformer2DModel]
    t5: Callable[[], T5EncoderModel]
    clip: Callable[[], CLIPTextModel]
    vae: Callable[[], AutoencoderKL]
    text_length: int
    canvas_multiple: int


def full_size() -> Family:
    """Return FLUX.1 [dev], which FLUX.1 Krea [dev] has the form of."""
    t5 = T5Config(
        vocab_size=32128,
        d_model=4096,
        d_kv=64,
        d_ff=10240,
        num_layers=24,
        num_heads=64,
        feed_forward_proj="gated-gelu",
    )
    clip = CLIPTextConfig(
        hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12
    )
    return Family(
        # Its own defaults are those of FLUX.1.
        transformer=lambda: FluxTransformer2DModel(guidance_embeds=True),
        t5=lambda: T5EncoderModel(t5),
        clip=lambda: CLIPTextModel(clip),
        vae=_flux_vae,
        text_length=512,
        canvas_multiple=16,
    )


def embedded() -> Family:
    """Return the form of the model in this package, for a CPU."""
    folder = EMBEDDED_MODEL_DIR
    facts = read_model_facts(folder)
    transformer = FluxTransformer2DModel.load_config(folder / "transformer")
    vae = AutoencoderKL.load_config(folder / "vae")
    t5 = T5Config.from_pretrained(folder / "text_encoder_2")
    clip = CLIPTextConfig.from_pretrained(folder / "text_encoder")
    return Family(
        transformer=lambda: FluxTransformer2DModel.from_config(transformer),
        t5=lambda: T5EncoderModel(t5),
        clip=lambda: CLIPTextModel(clip),
        vae=lambda: AutoencoderKL.from_config(vae),
        text_length=facts.max_sequence_length,
        canvas_multiple=facts.canvas_multiple,
    )


def make(build: Callable[[], ModelT], dtype: torch.dtype, device: torch.device) -> ModelT:
    """Return a model for inference, with weights drawn on the device and in its dtype."""
    with _made_in(dtype), device:
        return build().eval().requires_grad_(False)


def counted_flops(
    build: Callable[[], torch.nn.Module], run: Callable[[torch.nn.Module], object]
) -> float:
    """Return the FLOPs of a run, counted on a model without weights.

    Args:
        build: Of the model.
        run: Runs it, on tensors of the device "meta".
    """
    meta = torch.device("meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        run(make(build, torch.float32, meta))
    return float(counter.get_total_flops())


def _flux_vae() -> AutoencoderKL:
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        latent_channels=16,
        sample_size=1024,
        scaling_factor=0.3611,
        shift_factor=0.1159,
        use_quant_conv=False,
        use_post_quant_conv=False,
    )


@contextmanager
def _made_in(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
