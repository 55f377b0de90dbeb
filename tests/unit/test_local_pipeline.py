"""The composed stages against diffusers' own pipelines: the same bits, and no false equality."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import FluxImg2ImgPipeline, FluxInpaintPipeline, FluxPipeline
from PIL import Image

from serve_app.diffusion.latents import cpu_generator, draw_noise, pack_latents
from serve_app.diffusion.schedule import SchedulerConfig, build_schedule
from serve_app.engine import job as job_module
from serve_app.engine import runner as runner_module
from serve_app.engine.job import text_to_image_job
from serve_app.engine.runner import Runner
from serve_app.engine.transformers import Transformers
from serve_app.errors import InvalidRequestError
from serve_app.local_pipeline import LocalPipeline
from serve_app.messages import DenoiseParams, EncodedImage, GenerationParams, Pixels, Size
from serve_app.stages.vae import VaeStage
from tests.unit.stages.random_flux import MAX_SEQUENCE_LENGTH

PROMPT = "a cat, on a mat"
COMPONENTS = (
    "scheduler",
    "vae",
    "text_encoder",
    "tokenizer",
    "text_encoder_2",
    "tokenizer_2",
    "transformer",
)


@dataclass(frozen=True)
class Models:
    """The same directory in our stages and in diffusers' pipeline."""

    ours: LocalPipeline
    reference: FluxPipeline
    canvas_multiple: int

    def canvas(self, rows: int, columns: int) -> Size:
        return Size(columns * self.canvas_multiple, rows * self.canvas_multiple)


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def dtype(request: pytest.FixtureRequest) -> torch.dtype:
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[request.param]


@pytest.fixture(scope="module", params=["flux_directory", "coarse_flux_directory"])
def models(request: pytest.FixtureRequest, dtype: torch.dtype) -> Iterator[Models]:
    yield from load_models(request.getfixturevalue(request.param), dtype)


@pytest.fixture(scope="module")
def bfloat16_models(flux_directory: Path) -> Iterator[Models]:
    """Where a wrong order of casts shows."""
    yield from load_models(flux_directory, torch.bfloat16)


def load_models(directory: Path, dtype: torch.dtype) -> Iterator[Models]:
    reference = FluxPipeline.from_pretrained(directory, dtype=dtype)
    reference.set_progress_bar_config(disable=True)
    with LocalPipeline.load(directory, dtype, torch.device("cpu")) as ours:
        yield Models(ours, reference, 2 * reference.vae_scale_factor)


def run_reference(pipeline: Any, seed: int = 3, **arguments: Any) -> np.ndarray:
    """Return the picture of a diffusers pipeline."""
    images = pipeline(
        prompt=PROMPT,
        generator=torch.Generator("cpu").manual_seed(seed),
        max_sequence_length=MAX_SEQUENCE_LENGTH,
        output_type="pil",
        **arguments,
    ).images
    return np.asarray(images[0])


def edit_reference(cls: Callable[..., Any], models: Models, **arguments: Any) -> np.ndarray:
    pipeline = cls(**{name: models.reference.components[name] for name in COMPONENTS})
    pipeline.set_progress_bar_config(disable=True)
    return run_reference(pipeline, **arguments)


def our_latents(models: Models, canvas: Size, seed: int, num_steps: int) -> torch.Tensor:
    embeds = models.ours.text_encoder.encode(PROMPT)
    params = DenoiseParams("req_1", 0, canvas, seed, num_steps, 4.5)
    job = text_to_image_job(models.ours.transformer, embeds, params)
    return models.ours.engine.submit(job).result()


def reference_latents(models: Models, canvas: Size, seed: int, num_steps: int) -> torch.Tensor:
    latents = models.reference(
        prompt=PROMPT,
        width=canvas.width,
        height=canvas.height,
        num_inference_steps=num_steps,
        guidance_scale=4.5,
        generator=torch.Generator("cpu").manual_seed(seed),
        max_sequence_length=MAX_SEQUENCE_LENGTH,
        output_type="latent",
    ).images
    assert isinstance(latents, torch.Tensor)
    return latents


def random_picture(canvas: Size, num_channels: int = 3) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (canvas.height, canvas.width, num_channels), dtype=np.uint8)


def half_mask(canvas: Size) -> np.ndarray:
    """Return a mask that is random, on both sides of the threshold, and 0 in the right half."""
    mask = random_picture(canvas, 1)[..., 0].copy()
    mask[:, canvas.width // 2 :] = 0
    return mask


def is_equal(ours: Pixels, reference: np.ndarray) -> bool:
    assert ours.array.std() > 5, "a flat picture proves nothing"
    return torch.equal(torch.from_numpy(ours.array), torch.from_numpy(reference.copy()))


@pytest.mark.parametrize(
    ("grid", "num_steps", "guidance_scale"),
    [
        ((2, 3), 28, 4.5),
        ((4, 1), 4, 3.5),
        ((1, 1), 1, 4.5),
        ((4, 4), 3, 5.0),
        ((6, 5), 2, 0.0),
    ],
)
def test_text_to_image(
    models: Models, grid: tuple[int, int], num_steps: int, guidance_scale: float
) -> None:
    canvas = models.canvas(*grid)
    ours = models.ours.generate(PROMPT, canvas, 3, num_steps, guidance_scale)
    reference = run_reference(
        models.reference,
        width=canvas.width,
        height=canvas.height,
        num_inference_steps=num_steps,
        guidance_scale=guidance_scale,
    )
    assert ours.array.shape == (canvas.height, canvas.width, 3)
    assert ours.array.dtype == np.uint8
    assert torch.equal(torch.from_numpy(ours.array), torch.from_numpy(reference.copy()))


@pytest.mark.parametrize("num_steps", [1, 28])
def test_text_to_image_latents(models: Models, num_steps: int) -> None:
    canvas = models.canvas(4, 6)
    ours = our_latents(models, canvas, 7, num_steps)
    assert ours.dtype == models.ours.transformer.dtype
    assert torch.equal(ours, reference_latents(models, canvas, 7, num_steps))


@pytest.mark.parametrize(
    ("strength", "num_steps"), [(0.05, 10), (0.3, 3), (0.3, 10), (0.6, 7), (0.95, 28), (1.0, 4)]
)
def test_image_to_image(models: Models, strength: float, num_steps: int) -> None:
    canvas = models.canvas(2, 3)
    image = random_picture(canvas)
    ours = models.ours.image_to_image(PROMPT, image, strength, 3, num_steps, 4.5)
    reference = edit_reference(
        FluxImg2ImgPipeline,
        models,
        image=Image.fromarray(image),
        strength=strength,
        width=canvas.width,
        height=canvas.height,
        num_inference_steps=num_steps,
        guidance_scale=4.5,
    )
    assert is_equal(ours, reference)


@pytest.mark.parametrize(("strength", "num_steps"), [(0.05, 10), (0.6, 3), (0.6, 10), (1.0, 5)])
def test_inpainting(models: Models, strength: float, num_steps: int) -> None:
    canvas = models.canvas(3, 2)
    image, mask = random_picture(canvas), half_mask(canvas)
    ours = models.ours.image_to_image(PROMPT, image, strength, 3, num_steps, 4.5, mask=mask)
    reference = edit_reference(
        FluxInpaintPipeline,
        models,
        image=Image.fromarray(image),
        mask_image=Image.fromarray(mask),
        strength=strength,
        width=canvas.width,
        height=canvas.height,
        num_inference_steps=num_steps,
        guidance_scale=4.5,
    )
    assert is_equal(ours, reference)


def test_image_i_of_a_request_is_image_0_of_seed_plus_i(models: Models, dtype: torch.dtype) -> None:
    canvas = models.canvas(2, 3)
    request = GenerationParams("req_1", PROMPT, 3, 5, canvas, canvas, 4, 4.5, "png", 100, "url")
    embeds = models.ours.text_encoder.encode(PROMPT)
    seeds = [request.image_seed(index) for index in range(request.num_images)]
    jobs = [
        text_to_image_job(
            models.ours.transformer, embeds, DenoiseParams("req_1", index, canvas, seed, 4, 4.5)
        )
        for index, seed in enumerate(seeds)
    ]
    runner = Runner(Transformers())
    while not jobs[0].is_done:
        runner.step(jobs)  # the pictures of a request share steps
    # What shares steps differs from one alone in the rounding of float32's sums.
    tolerance = 0.0 if dtype == torch.bfloat16 else 1e-5
    for index, job in enumerate(jobs):
        alone = our_latents(models, canvas, 5 + index, 4)
        torch.testing.assert_close(job.latents, alone, rtol=0, atol=tolerance)
    assert not torch.allclose(jobs[0].latents, jobs[1].latents, atol=1e-2)


def test_each_step_is_told(bfloat16_models: Models) -> None:
    told: list[tuple[int, int]] = []
    bfloat16_models.ours.generate(
        PROMPT, Size(32, 32), 0, 4, 4.5, on_step=lambda done, total: told.append((done, total))
    )
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_canvas_that_does_not_fit_is_refused(bfloat16_models: Models) -> None:
    with pytest.raises(InvalidRequestError, match="multiple of 16 on each side, got 100x64"):
        bfloat16_models.ours.generate(PROMPT, Size(100, 64), 0, 4, 4.5)


class TestNegativeControls:
    """Each of these must show in the bits; what does not show is not tested above."""

    CANVAS = Size(96, 64)
    NUM_STEPS = 28

    def differs(self, models: Models) -> bool:
        ours = our_latents(models, self.CANVAS, 3, self.NUM_STEPS)
        return not torch.equal(ours, reference_latents(models, self.CANVAS, 3, self.NUM_STEPS))

    def test_none(self, bfloat16_models: Models) -> None:
        assert not self.differs(bfloat16_models)

    def test_another_seed(self, bfloat16_models: Models) -> None:
        ours = our_latents(bfloat16_models, self.CANVAS, 4, self.NUM_STEPS)
        reference = reference_latents(bfloat16_models, self.CANVAS, 3, self.NUM_STEPS)
        assert not torch.equal(ours, reference)

    def test_step_size_in_float32(
        self, bfloat16_models: Models, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def euler_step(latents: torch.Tensor, noise_pred: torch.Tensor, *sigmas: Any) -> Any:
            moved = latents.float() + (sigmas[1] - sigmas[0]) * noise_pred.float()
            return moved.to(noise_pred.dtype)

        monkeypatch.setattr(runner_module, "euler_step", euler_step)
        assert self.differs(bfloat16_models)

    def test_timestep_divided_in_float32(self, bfloat16_models: Models) -> None:
        image_seq_len = (self.CANVAS.width // 16) * (self.CANVAS.height // 16)
        schedule = build_schedule(SchedulerConfig(), image_seq_len, self.NUM_STEPS)
        timesteps = iter(schedule.timesteps)

        def replace(_model: Any, args: Any, kwargs: dict[str, Any]) -> Any:
            return args, kwargs | {"timestep": next(timesteps)[None] / 1000}

        transformer = bfloat16_models.ours.transformer.transformer
        hook = transformer.register_forward_pre_hook(replace, with_kwargs=True)
        ours = our_latents(bfloat16_models, self.CANVAS, 3, self.NUM_STEPS)
        hook.remove()
        reference = reference_latents(bfloat16_models, self.CANVAS, 3, self.NUM_STEPS)
        assert not torch.equal(ours, reference)

    @pytest.mark.parametrize("image_seq_len", [256, 4096])
    def test_mu_of_another_resolution(
        self, bfloat16_models: Models, monkeypatch: pytest.MonkeyPatch, image_seq_len: int
    ) -> None:
        def other_schedule(config: SchedulerConfig, _: int, num_steps: int, strength: float) -> Any:
            return build_schedule(config, image_seq_len, num_steps, strength)

        monkeypatch.setattr(job_module, "build_schedule", other_schedule)
        assert self.differs(bfloat16_models)

    def test_guidance_in_another_value(self, bfloat16_models: Models) -> None:
        ours = bfloat16_models.ours
        one = ours.generate(PROMPT, self.CANVAS, 3, 4, 4.5)
        other = ours.generate(PROMPT, self.CANVAS, 3, 4, math.nextafter(4.5, 5) + 0.5)
        assert not is_equal(one, other.array)

    def test_noise_drawn_before_the_vae_sample(
        self, bfloat16_models: Models, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ours, image = bfloat16_models.ours, random_picture(self.CANVAS)
        right = ours.image_to_image(PROMPT, image, 0.6, 3, 10, 4.5)
        encode = VaeStage.encode

        def wrong_order(stage: VaeStage, image: np.ndarray, seed: int) -> EncodedImage:
            shape = stage._latent_shape(self.CANVAS)
            noise = draw_noise(shape, cpu_generator(seed), torch.bfloat16)
            return EncodedImage(encode(stage, image, seed).image_latents, pack_latents(noise))

        monkeypatch.setattr(VaeStage, "encode", wrong_order)
        wrong = ours.image_to_image(PROMPT, image, 0.6, 3, 10, 4.5)
        assert not is_equal(wrong, right.array)

    def test_inverted_mask(self, bfloat16_models: Models) -> None:
        ours, image, mask = (
            bfloat16_models.ours,
            random_picture(self.CANVAS),
            half_mask(self.CANVAS),
        )
        right = ours.image_to_image(PROMPT, image, 0.6, 3, 10, 4.5, mask=mask)
        wrong = ours.image_to_image(PROMPT, image, 0.6, 3, 10, 4.5, mask=255 - mask)
        assert not is_equal(wrong, right.array)
