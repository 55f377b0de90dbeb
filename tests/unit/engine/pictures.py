"""Pictures that differ in all that a transformer reads of them, run alone and packed."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from serve_app.diffusion.latents import LatentShape, latent_image_ids
from serve_app.engine.adapters import Adapter, PictureAdapters
from serve_app.engine.packed import PackedInputs, PackedTransformer
from serve_app.messages import Size
from serve_app.stages.lora_file import Factors, linear_shapes
from serve_app.stages.transformer import TransformerStage
from tests.unit.stages.lora_files import random_lora
from tests.unit.stages.random_flux import WIDTH


@dataclass(frozen=True)
class Picture:
    """What the transformer reads of one picture."""

    canvas: Size
    text_length: int
    timestep: float
    guidance_scale: float
    seed: int


MIXED = (
    Picture(Size(32, 48), 16, 981.0, 4.5, 1),
    Picture(Size(64, 16), 7, 43.5, 1.0, 2),
    Picture(Size(64, 64), 16, 512.25, 7.0, 3),
    Picture(Size(16, 16), 1, 1000.0, 0.0, 4),
)


def tensors(stage: TransformerStage, picture: Picture) -> dict[str, torch.Tensor]:
    shape = LatentShape.of(picture.canvas, stage.vae_scale_factor, stage.num_latent_channels)
    generator = torch.Generator().manual_seed(picture.seed)

    def noise(*size: int) -> torch.Tensor:
        return torch.randn(*size, generator=generator).to(stage.dtype)

    return {
        "latents": noise(1, shape.image_seq_len, 4 * shape.num_channels),
        "prompt_embeds": noise(1, picture.text_length, WIDTH),
        "pooled_prompt_embeds": noise(1, WIDTH),
        "latent_image_ids": latent_image_ids(shape, stage.dtype),
    }


def alone(stage: TransformerStage, picture: Picture) -> torch.Tensor:
    return stage.predict(
        timestep=torch.tensor(picture.timestep),
        guidance_scale=picture.guidance_scale,
        **tensors(stage, picture),
    )[0]


def packed_inputs(
    stage: TransformerStage,
    pictures: tuple[Picture, ...],
    adapters: Sequence[PictureAdapters] = (),
) -> PackedInputs:
    given = [tensors(stage, picture) for picture in pictures]
    return PackedInputs(
        latents=[one["latents"][0] for one in given],
        prompt_embeds=[one["prompt_embeds"][0] for one in given],
        pooled_prompt_embeds=torch.cat([one["pooled_prompt_embeds"] for one in given]),
        timesteps=torch.tensor([picture.timestep for picture in pictures]),
        guidance_scales=torch.tensor([picture.guidance_scale for picture in pictures]),
        latent_image_ids=[one["latent_image_ids"] for one in given],
        adapters=adapters,
    )


@torch.no_grad()
def packed(
    stage: TransformerStage,
    pictures: tuple[Picture, ...],
    dropped: frozenset[int] = frozenset(),
    adapters: Sequence[PictureAdapters] = (),
    transformer: PackedTransformer | None = None,
) -> list[torch.Tensor]:
    transformer = transformer or PackedTransformer(stage.transformer)
    hidden = transformer.first_block(transformer.embed(packed_inputs(stage, pictures, adapters)))
    hidden = hidden.without(dropped)
    return transformer.head(transformer.other_blocks(hidden), hidden)


def random_adapter(stage: TransformerStage, seed: int, rank: int = 4, *layers: str) -> Adapter:
    shapes = linear_shapes(stage.transformer)
    lora = random_lora(shapes, layers or None, rank, seed)
    factors = {
        name: Factors(one.down.to(stage.dtype), one.up.to(stage.dtype))
        for name, one in lora.items()
    }
    return Adapter(f"adapter_{seed}", factors, num_bytes=1)
