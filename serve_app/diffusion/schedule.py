"""Noise levels of one picture: which sigmas its denoising visits, and in what order.

A sigma is a noise level in [0, 1]; 1 is pure noise. FLUX.1 spends more steps at high noise as
the picture grows, through a shift `mu` that is linear in `image_seq_len`. Every expression
keeps the precision and the order of operations of diffusers' `FlowMatchEulerDiscreteScheduler`
and `get_timesteps`, because the stages promise the same bits.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch

from serve_app.diffusion.steps import first_step


@dataclass(frozen=True, slots=True)
class SchedulerConfig:
    """The part of `scheduler_config.json` that FLUX.1 uses; the defaults are diffusers'."""

    base_image_seq_len: int = 256
    max_image_seq_len: int = 4096
    base_shift: float = 0.5
    max_shift: float = 1.15
    num_train_timesteps: int = 1000

    def mu(self, image_seq_len: int) -> float:
        """Return the shift of a picture with `image_seq_len` packed latents; not clamped."""
        slope = (self.max_shift - self.base_shift) / (
            self.max_image_seq_len - self.base_image_seq_len
        )
        return image_seq_len * slope + (self.base_shift - slope * self.base_image_seq_len)


@dataclass(frozen=True, slots=True)
class Schedule:
    """The steps one picture takes.

    Attributes:
        timesteps: (num_steps,) float32, `num_train_timesteps * sigma` of each step.
        sigmas: (num_steps + 1,) float32, descending; the last is 0.
    """

    timesteps: torch.Tensor
    sigmas: torch.Tensor

    @property
    def num_steps(self) -> int:
        """Transformer evaluations."""
        return len(self.timesteps)

    def to(self, device: torch.device) -> "Schedule":
        """Return the same schedule on another device."""
        return Schedule(self.timesteps.to(device), self.sigmas.to(device))


def build_schedule(
    config: SchedulerConfig, image_seq_len: int, num_inference_steps: int, strength: float = 1.0
) -> Schedule:
    """Return the schedule of one picture, on the CPU.

    Args:
        config: Of the model.
        image_seq_len: Packed latents of the picture.
        num_inference_steps: Steps from pure noise, at least 1.
        strength: Of an edit, over 0 up to 1: the part of the steps that is run.

    Raises:
        ValueError: `num_inference_steps` is below 1 or `strength` outside (0, 1].
    """
    start = first_step(num_inference_steps, strength)
    sigmas = _shifted_sigmas(config.mu(image_seq_len), num_inference_steps)
    timesteps = sigmas * config.num_train_timesteps
    return Schedule(timesteps[start:], torch.cat([sigmas, torch.zeros(1)])[start:])


def _shifted_sigmas(mu: float, num_inference_steps: int) -> torch.Tensor:
    levels = np.linspace(1.0, 1 / num_inference_steps, num_inference_steps).astype(np.float32)
    shifted = math.exp(mu) / (math.exp(mu) + (1 / levels - 1))
    return torch.from_numpy(shifted).to(torch.float32)
