"""One step and one mix of noise against the scheduler they must equal."""

from typing import Any

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler

from serve_app.diffusion.euler import euler_step, scale_noise

NUM_STEPS = 7


@pytest.fixture
def scheduler() -> Any:
    scheduler = FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)
    scheduler.set_timesteps(NUM_STEPS, mu=0.7)
    return scheduler


def random_tensors(dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn((2, 1, 24, 64), generator=generator).to(dtype)
    return first, second


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_step_equals_diffusers(scheduler: Any, dtype: torch.dtype) -> None:
    latents, noise_pred = random_tensors(dtype)
    reference = latents
    for index, timestep in enumerate(scheduler.timesteps):
        sigma, sigma_next = scheduler.sigmas[index : index + 2]
        latents = euler_step(latents, noise_pred, sigma, sigma_next)
        reference = scheduler.step(noise_pred, timestep, reference, return_dict=False)[0]
        assert latents.dtype == dtype
        assert torch.equal(latents, reference)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("start", [0, 3, NUM_STEPS - 1])
def test_scale_noise_equals_diffusers(scheduler: Any, start: int, dtype: torch.dtype) -> None:
    image_latents, noise = random_tensors(dtype)
    scheduler.set_begin_index(start)
    reference = scheduler.scale_noise(image_latents, scheduler.timesteps[start : start + 1], noise)
    assert torch.equal(scale_noise(image_latents, noise, scheduler.sigmas[start]), reference)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_no_noise_is_the_picture_itself(dtype: torch.dtype) -> None:
    image_latents, noise = random_tensors(dtype)
    assert torch.equal(scale_noise(image_latents, noise, torch.tensor(0.0)), image_latents)


def test_a_float32_product_differs_in_bfloat16(scheduler: Any) -> None:
    latents, noise_pred = random_tensors(torch.bfloat16)
    sigma, sigma_next = scheduler.sigmas[1:3]
    precise = (latents.float() + (sigma_next - sigma) * noise_pred.float()).bfloat16()
    assert not torch.equal(euler_step(latents, noise_pred, sigma, sigma_next), precise)
