"""Flow matching between noise and picture: mixing them, and one Euler step back.

`sigma` is everywhere an element of `Schedule.sigmas`, a 0-dim float32 tensor on the device of the
latents. That is part of the numerics: torch rounds a 0-dim factor to the other operand's
dtype before it multiplies, and a float or a 1-dim tensor would give other bits in bfloat16.
"""

import torch


def scale_noise(
    image_latents: torch.Tensor, noise: torch.Tensor, sigma: torch.Tensor
) -> torch.Tensor:
    """Return a picture's latents at noise level `sigma`: 1 is noise, 0 is the picture."""
    sigma = sigma.to(image_latents.dtype)
    return sigma * noise + (1.0 - sigma) * image_latents


def euler_step(
    latents: torch.Tensor, noise_pred: torch.Tensor, sigma: torch.Tensor, sigma_next: torch.Tensor
) -> torch.Tensor:
    """Return the latents at `sigma_next`, in the dtype of `noise_pred`.

    The sum is float32, the product in front of it is not: as `FlowMatchEulerDiscreteScheduler`.
    """
    moved = latents.to(torch.float32) + (sigma_next - sigma) * noise_pred
    return moved.to(noise_pred.dtype)
