"""How much arithmetic a denoising step is, and the time it takes at the least.

Each token passes q, k, v, out (4 dim²) and an MLP four times as wide (8 dim²) in a block of either
kind; attention multiplies each token with each of the same picture twice. A multiplication with
its addition are two FLOPs, as everywhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Of an H200 in dense bfloat16, as matrix products measure it; its data sheet says 989.
H200_TFLOPS = 790.0

TIMESTEP_CHANNELS = 256  # FluxTransformer2DModel's own


@dataclass(frozen=True, slots=True)
class StepFlops:
    """FLOPs of one forward of the transformer.

    Attributes:
        block_linears: What 8-bit arithmetic halves the time of.
        attention: Scores and weighted sums.
        rest: Modulation and everything before and after the blocks.
    """

    block_linears: float
    attention: float
    rest: float

    @property
    def total(self) -> float:
        """All of them."""
        return self.block_linears + self.attention + self.rest

    def bound_s(self, tflops: float, is_fp8: bool = False) -> float:
        """Return the seconds they take at `tflops`; in fp8 the blocks' linears take half."""
        block_linears = self.block_linears / 2 if is_fp8 else self.block_linears
        return (block_linears + self.attention + self.rest) / (tflops * 1e12)


def step_flops(
    config: Mapping[str, Any], text_length: int, image_lengths: Sequence[int]
) -> StepFlops:
    """Return the FLOPs of one forward of some pictures, packed or one by one.

    Args:
        config: Of the `FluxTransformer2DModel`.
        text_length: Tokens of each prompt.
        image_lengths: Tokens of each picture.
    """
    dim = config["num_attention_heads"] * config["attention_head_dim"]
    num_double, num_single = config["num_layers"], config["num_single_layers"]
    num_pictures, num_image = len(image_lengths), sum(image_lengths)
    num_text = num_pictures * text_length
    num_pairs = sum((text_length + length) ** 2 for length in image_lengths)
    modulation = dim**2 * (12 * num_double + 3 * num_single + 2)
    num_embedders = 2 if config["guidance_embeds"] else 1
    embedding = num_embedders * (TIMESTEP_CHANNELS * dim + dim**2)
    embedding += config["pooled_projection_dim"] * dim + dim**2
    ends = dim * (2 * config["in_channels"] * num_image + config["joint_attention_dim"] * num_text)
    return StepFlops(
        block_linears=(num_double + num_single) * 24 * dim**2 * (num_text + num_image),
        attention=(num_double + num_single) * 4 * dim * num_pairs,
        rest=2 * (num_pictures * (modulation + embedding) + ends),
    )
