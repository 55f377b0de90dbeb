"""The schedule against the scheduler it must equal."""

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from diffusers.pipelines.flux.pipeline_flux import calculate_shift
from hypothesis import given
from hypothesis import strategies as st

from serve_app.diffusion.schedule import SchedulerConfig, build_schedule
from serve_app.diffusion.steps import first_step

FLUX = SchedulerConfig()
OTHER = SchedulerConfig(
    base_image_seq_len=64,
    max_image_seq_len=2048,
    base_shift=0.3,
    max_shift=1.4,
    num_train_timesteps=500,
)

steps = st.integers(1, 60)
strengths = st.floats(0, 1, exclude_min=True)


def reference_schedule(
    config: SchedulerConfig, image_seq_len: int, num_steps: int
) -> FlowMatchEulerDiscreteScheduler:
    scheduler = FlowMatchEulerDiscreteScheduler(
        base_image_seq_len=config.base_image_seq_len,
        max_image_seq_len=config.max_image_seq_len,
        base_shift=config.base_shift,
        max_shift=config.max_shift,
        num_train_timesteps=config.num_train_timesteps,
        use_dynamic_shifting=True,
    )
    mu = calculate_shift(
        image_seq_len,
        config.base_image_seq_len,
        config.max_image_seq_len,
        config.base_shift,
        config.max_shift,
    )
    scheduler.set_timesteps(sigmas=np.linspace(1.0, 1 / num_steps, num_steps), mu=mu)
    return scheduler


@pytest.mark.parametrize("config", [FLUX, OTHER], ids=["flux", "other"])
@pytest.mark.parametrize("image_seq_len", [1, 256, 4096, 6400])
@pytest.mark.parametrize("num_steps", [1, 2, 28, 50])
def test_schedule_equals_diffusers(
    config: SchedulerConfig, image_seq_len: int, num_steps: int
) -> None:
    schedule = build_schedule(config, image_seq_len, num_steps)
    reference = reference_schedule(config, image_seq_len, num_steps)
    assert schedule.num_steps == num_steps
    assert torch.equal(schedule.sigmas, reference.sigmas)
    assert torch.equal(schedule.timesteps, reference.timesteps)


@pytest.mark.parametrize(
    ("image_seq_len", "mu"), [(256, 0.5), (1024, 0.63), (4096, 1.15), (6400, 1.54)]
)
def test_mu_grows_with_the_picture_and_is_not_clamped(image_seq_len: int, mu: float) -> None:
    assert FLUX.mu(image_seq_len) == pytest.approx(mu, abs=0.005)


@pytest.mark.parametrize(
    ("num_steps", "strength", "start"),
    [(28, 1.0, 0), (28, 0.95, 1), (28, 0.6, 11), (10, 0.3, 7), (10, 0.05, 9), (1, 0.01, 0)],
)
def test_strength_cuts_the_first_steps(num_steps: int, strength: float, start: int) -> None:
    whole = build_schedule(FLUX, 256, num_steps)
    schedule = build_schedule(FLUX, 256, num_steps, strength)
    assert first_step(num_steps, strength) == start
    assert torch.equal(schedule.sigmas, whole.sigmas[start:])
    assert torch.equal(schedule.timesteps, whole.timesteps[start:])


@given(steps, st.integers(1, 10_000))
def test_sigmas_descend_from_one_to_zero(num_steps: int, image_seq_len: int) -> None:
    sigmas = build_schedule(FLUX, image_seq_len, num_steps).sigmas
    assert sigmas[0] == 1
    assert sigmas[-1] == 0
    assert (sigmas.diff() < 0).all()


@pytest.mark.parametrize("num_steps", [0, -1])
def test_no_steps_are_refused(num_steps: int) -> None:
    with pytest.raises(ValueError, match="num_inference_steps must be at least 1"):
        build_schedule(FLUX, 256, num_steps)


@pytest.mark.parametrize("strength", [0.0, -0.1, 1.1, float("nan")])
def test_a_strength_outside_its_range_is_refused(strength: float) -> None:
    with pytest.raises(ValueError, match="strength must be over 0 and at most 1"):
        build_schedule(FLUX, 256, 4, strength)
