"""What steps and stages take on the machine that the simulation stands for.

An H100 with torch.compile: 1024x1024 with 28 steps in 4.22 s, which is 62.6 % of 790 TFLOP/s on the
model's operations (4.21 s were measured by diffusers-torchao). Small pictures use the machine
worse when they are alone. The other stages take what `serve_app/planning/machine.py` says, in a
monolith as in ours.
"""

from functools import cache

from serve_app.messages import Size
from serve_app.planning.machine import FLUX_1, MACHINES, PX_PER_TOKEN_SIDE, TEXT_TOKENS

FLOPS_PER_S = 0.626 * 790e12
OVERHEAD_S = 0.0005
EFFICIENCY_ALONE = {512: 0.87, 768: 0.97, 1024: 1.0, 1536: 1.0, 2048: 1.0}

H100 = MACHINES["h100"]
ENCODE_S = H100.encode_s
VAE_S = {side: H100.decoded_s(Size(side, side)) for side in EFFICIENCY_ALONE}
PNG_S = {side: H100.written_s(Size(side, side)) for side in EFFICIENCY_ALONE}


def image_tokens(side_px: int) -> int:
    """Return the packed latents of a square picture."""
    return (side_px // PX_PER_TOKEN_SIDE) ** 2


@cache
def step_flops(side_px: int) -> float:
    """Return the operations of one step of a square picture."""
    return FLUX_1.step_flops(image_tokens(side_px), TEXT_TOKENS)


@cache
def step_s(side_px: int, num_images: int = 1) -> float:
    """Return the seconds of one step of equal pictures."""
    alone = EFFICIENCY_ALONE[side_px]
    efficiency = {1: alone, 2: (1 + alone) / 2}.get(num_images, 1.0)
    return num_images * step_flops(side_px) / (FLOPS_PER_S * efficiency) + OVERHEAD_S


def mixed_step_s(sides_px: tuple[int, ...]) -> float:
    """Return the seconds of one packed step of any pictures."""
    if len(set(sides_px)) == 1:
        return step_s(sides_px[0], len(sides_px))
    # Several pictures together are large enough to use the machine well.
    return sum(step_flops(side) for side in sides_px) / FLOPS_PER_S + OVERHEAD_S
