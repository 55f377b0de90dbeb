"""The transformer in every way the engine can run it, and what it reads."""

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from diffusers import FluxTransformer2DModel

from benchmarks.conditions import Conditions
from benchmarks.random_models import make
from serve_app.diffusion.latents import LatentShape, latent_image_ids
from serve_app.diffusion.schedule import SchedulerConfig
from serve_app.engine import step_cache
from serve_app.engine.compiled import CompiledTransformer
from serve_app.engine.packed import PackedInputs, PackedTransformer
from serve_app.errors import ConfigError
from serve_app.stages.quantization import Scheme, check_scheme, quantize
from serve_app.stages.transformer import TransformerStage

Predict = Callable[[PackedInputs], object]


@dataclass(frozen=True, slots=True)
class Denoisers:
    """The model, exact and in 8 bits.

    Attributes:
        exact: As it is loaded.
        eight_bit: Quantised.
        scheme: How.
        fast: `exact` as it is served: compiled, where that is measured.
        fast_eight_bit: `eight_bit`, likewise.
    """

    exact: FluxTransformer2DModel
    eight_bit: FluxTransformer2DModel
    scheme: Scheme
    fast: PackedTransformer
    fast_eight_bit: PackedTransformer

    @classmethod
    def make(cls, conditions: Conditions) -> "Denoisers":
        """Return both models, warmed up."""
        exact, eight_bit = (
            make(conditions.family.transformer, conditions.dtype, conditions.device)
            for _ in range(2)
        )
        scheme = _best_scheme(conditions)
        quantize(eight_bit, scheme)
        fast, fast_eight_bit = (_served(model, conditions) for model in (exact, eight_bit))
        return cls(exact, eight_bit, scheme, fast, fast_eight_bit)

    @property
    def num_recompiles(self) -> int:
        """Graphs made after the warm-up."""
        compiled = (self.fast, self.fast_eight_bit)
        return sum(one.num_recompiles for one in compiled if isinstance(one, CompiledTransformer))

    def stock(self, inputs: PackedInputs) -> object:
        """Run diffusers' own forward, on the first picture."""
        stage = TransformerStage(self.exact, SchedulerConfig(), vae_scale_factor=8)
        return stage.predict(
            latents=inputs.latents[0][None],
            timestep=inputs.timesteps[0],
            guidance_scale=4.5,
            prompt_embeds=inputs.prompt_embeds[0][None],
            pooled_prompt_embeds=inputs.pooled_prompt_embeds[:1],
            latent_image_ids=inputs.latent_image_ids[0],
        )


def inputs_of(
    conditions: Conditions, model: FluxTransformer2DModel, sides_px: Sequence[int]
) -> PackedInputs:
    """Return noise for square pictures, each at a noise level of its own."""
    config, num_pictures = model.config, len(sides_px)
    sides = [conditions.side_tokens(side_px) for side_px in sides_px]
    shapes = [LatentShape(config["in_channels"] // 4, 2 * side, 2 * side) for side in sides]
    text_shape = (conditions.family.text_length, config["joint_attention_dim"])
    return PackedInputs(
        latents=[conditions.randn(side**2, config["in_channels"]) for side in sides],
        prompt_embeds=[conditions.randn(*text_shape) for _ in sides],
        pooled_prompt_embeds=conditions.randn(num_pictures, config["pooled_projection_dim"]),
        timesteps=torch.linspace(900, 100, num_pictures, device=conditions.device),
        guidance_scales=torch.full([num_pictures], 4.5, device=conditions.device),
        latent_image_ids=[
            latent_image_ids(shape, conditions.dtype).to(conditions.device) for shape in shapes
        ],
    )


def predict(transformer: PackedTransformer, inputs: PackedInputs) -> object:
    """Run one packed forward."""
    with torch.no_grad():
        hidden = transformer.first_block(transformer.embed(inputs))
        return transformer.head(transformer.other_blocks(hidden), hidden)


def cached(transformer: PackedTransformer) -> dict[str, Predict]:
    """Return a step that the cache computes and one that it skips.

    Whether it skips depends on a trained model's predictions; here its threshold decides.
    """
    computing, skipping = step_cache.StepCache(-1.0), step_cache.StepCache(math.inf)
    return {
        "a computed step": lambda inputs: step_cache.predict(transformer, inputs, [computing]),
        "a skipped step": lambda inputs: step_cache.predict(transformer, inputs, [skipping]),
    }


def _best_scheme(conditions: Conditions) -> Scheme:
    try:
        check_scheme("fp8", conditions.dtype, conditions.device)
    except ConfigError as error:
        sys.stderr.write(f"int8 instead of fp8: {error}\n")
        return "int8"
    return "fp8"


def _served(model: FluxTransformer2DModel, conditions: Conditions) -> PackedTransformer:
    if not conditions.is_compiled:
        return PackedTransformer(model)
    compiled = CompiledTransformer(model)
    compiled.warm_up(conditions.family.text_length, _show_progress)
    return compiled


def _show_progress(done: int, total: int) -> None:
    sys.stderr.write(f"warm-up: {done} of {total} forwards\n")
