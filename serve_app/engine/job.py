"""One picture being denoised: everything the engine keeps of it between two steps."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

import torch

from serve_app.diffusion.euler import scale_noise
from serve_app.diffusion.latents import (
    LatentShape,
    cpu_generator,
    draw_noise,
    latent_image_ids,
    pack_latents,
)
from serve_app.diffusion.masks import Repaint, pack_mask
from serve_app.diffusion.schedule import Schedule, build_schedule
from serve_app.diffusion.steps import preview_steps
from serve_app.engine.adapters import PictureAdapters
from serve_app.engine.cost_model import CostModel, FluxGeometry
from serve_app.engine.step_cache import StepCache
from serve_app.engine.work import Work
from serve_app.messages import Acceleration, DenoiseParams, EncodedImage, PromptEmbeds, Size
from serve_app.stages.transformer import TransformerStage

OnStep = Callable[[int, int], None]
OnPreview = Callable[[torch.Tensor], None]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a picture stands between two steps, to go back to; a step changes no tensor in place.

    Attributes:
        num_steps_done: Of its steps.
        latents: (1, image_seq_len, 4 * latent_channels).
        preview: That nobody has taken yet.
        step_cache: A copy.
    """

    num_steps_done: int
    latents: torch.Tensor
    preview: torch.Tensor | None
    step_cache: StepCache | None


@dataclass(slots=True, eq=False, kw_only=True)
class Job(Work):
    """One picture; its tensors lie on the transformer's device, in its dtype.

    Attributes:
        name: For the log.
        transformer: That denoises it.
        prompt_embeds: (1, max_sequence_length, joint_attention_dim).
        pooled_prompt_embeds: (1, pooled_projection_dim).
        guidance_scale: The distilled guidance value.
        schedule: The steps it takes.
        latent_image_ids: (image_seq_len, 3).
        latents: Where it stands, (1, image_seq_len, 4 * latent_channels).
        first_latents: Where it began, to begin again.
        repaint: Of an inpainting.
        must_end_unix_s: When its request is over, in Unix seconds; None: never.
        future: Its final latents, on the CPU.
        on_step: Is told the steps done and the steps in all, from the engine's thread.
        preview_steps: After how many steps a preview is made.
        on_preview: Is given each preview, packed latents on the CPU, from the engine's thread.
        preview: The latest, until it is given away.
        acceleration: What its request allows; the engine makes a `step_cache` of it.
        step_cache: What lets it skip steps; None: every step is computed.
        whole_step_flops: Operations of a step that is computed to its end; from its admission on
            `step_flops` are those that the cost model expects of its mean step.
        predicted_s: Of all its steps if it ran alone, when it was admitted; None: by a guess only.
        own_s: What its steps took, or would have without others in them.
        ran_s: Seconds of the steps that it took part in.
        adapters: Its LoRAs.
    """

    name: str
    transformer: TransformerStage
    prompt_embeds: torch.Tensor
    pooled_prompt_embeds: torch.Tensor
    guidance_scale: float
    schedule: Schedule
    latent_image_ids: torch.Tensor
    latents: torch.Tensor
    first_latents: torch.Tensor
    repaint: Repaint | None = None
    must_end_unix_s: float | None = None
    future: Future[torch.Tensor] = field(default_factory=Future)
    on_step: OnStep | None = None
    preview_steps: tuple[int, ...] = ()
    on_preview: OnPreview | None = None
    preview: torch.Tensor | None = None
    acceleration: Acceleration = "none"
    step_cache: StepCache | None = None
    whole_step_flops: float
    predicted_s: float | None = None
    own_s: float = 0.0
    ran_s: float = 0.0
    adapters: PictureAdapters = ()

    @property
    def wants_preview(self) -> bool:
        """Whether somebody wants to see where it stands after the step it is in."""
        return self.on_preview is not None and self.num_steps_done + 1 in self.preview_steps

    @property
    def transformer_id(self) -> int:
        """What tells its transformer from others."""
        return id(self.transformer.transformer)

    @property
    def num_computed(self) -> float:
        """Steps' worth of operations that were computed: of a skipped step the first block's."""
        if self.step_cache is None:
            return self.num_steps_done
        config = self.transformer.transformer.config
        num_blocks = float(config["num_layers"] + config["num_single_layers"])
        return self.num_steps_done - self.step_cache.num_skipped * (1 - 1 / num_blocks)

    def foresee(self, cost_model: CostModel) -> float:
        """Return the seconds of all its steps if it ran alone, and keep what is expected of it."""
        self.step_flops = cost_model.expected_flops(
            self.step_flops, self.acceleration, self.transformer_id
        )
        solo_s = cost_model.solo_s(self)
        self.predicted_s = solo_s if cost_model.is_taught else None
        return solo_s

    def teach(self, cost_model: CostModel) -> None:
        """Tell what came of it, when it is done."""
        # One that failed in a batch had steps that were not measured.
        if self.runs_alone or not self.own_s:
            return
        cost_model.finished(self.acceleration, self.num_computed / self.num_steps)
        if self.predicted_s is not None:
            cost_model.judge(self.predicted_s, self.own_s)

    @property
    def standing(self) -> Standing:
        """Where it stands; the step cache is a copy of its own."""
        cache = None if self.step_cache is None else replace(self.step_cache)
        return Standing(self.num_steps_done, self.latents, self.preview, cache)

    def go_back(self, standing: Standing) -> None:
        """Stand where it stood before a step that failed."""
        self.num_steps_done, self.latents = standing.num_steps_done, standing.latents
        self.preview, self.step_cache = standing.preview, standing.step_cache

    def begin_again(self) -> None:
        """Go back to the first step; no preview comes twice."""
        self.latents, self.num_steps_done = self.first_latents, 0
        self.preview_steps, self.preview, self.own_s = (), None, 0.0
        if self.step_cache is not None:
            self.step_cache = StepCache(self.step_cache.threshold)


def text_to_image_job(
    transformer: TransformerStage, prompt: PromptEmbeds, params: DenoiseParams
) -> Job:
    """Return the job of a new picture; its noise is drawn from `params.seed`.

    Raises:
        InvalidRequestError: The canvas does not fit the model.
    """
    shape = _latent_shape(transformer, params.canvas)
    noise = draw_noise(shape, cpu_generator(params.seed), transformer.dtype)
    schedule = _schedule(transformer, params, shape)
    return _job(transformer, prompt, params, schedule, shape, pack_latents(noise))


def image_to_image_job(
    transformer: TransformerStage,
    prompt: PromptEmbeds,
    params: DenoiseParams,
    image: EncodedImage,
) -> Job:
    """Return the job of a changed picture; `params.seed` is already spent on `image`.

    Raises:
        InvalidRequestError: The canvas does not fit the model.
    """
    shape = _latent_shape(transformer, params.canvas)
    schedule = _schedule(transformer, params, shape)
    image_latents = transformer.to_device(image.image_latents)
    noise = transformer.to_device(image.noise)
    latents = scale_noise(image_latents, noise, schedule.sigmas[0])
    job = _job(transformer, prompt, params, schedule, shape, latents)
    if image.mask is not None:
        packed_mask = transformer.to_device(pack_mask(image.mask, shape, transformer.dtype))
        job.repaint = Repaint(packed_mask, image_latents, noise)
    return job


def _latent_shape(transformer: TransformerStage, canvas: Size) -> LatentShape:
    return LatentShape.of(canvas, transformer.vae_scale_factor, transformer.num_latent_channels)


def _schedule(transformer: TransformerStage, params: DenoiseParams, shape: LatentShape) -> Schedule:
    config, num_steps = transformer.scheduler_config, params.num_inference_steps
    schedule = build_schedule(config, shape.image_seq_len, num_steps, params.strength)
    return schedule.to(transformer.device)


def _job(
    transformer: TransformerStage,
    prompt: PromptEmbeds,
    params: DenoiseParams,
    schedule: Schedule,
    shape: LatentShape,
    latents: torch.Tensor,
) -> Job:
    num_text_tokens = prompt.prompt_embeds.shape[1]
    geometry = FluxGeometry.of(transformer.transformer.config)
    first_latents = transformer.to_device(latents)
    step_flops = geometry.step_flops(shape.image_seq_len, num_text_tokens)
    return Job(
        num_steps=schedule.num_steps,
        num_tokens=shape.image_seq_len + num_text_tokens,
        step_flops=step_flops,
        whole_step_flops=step_flops,
        priority=params.priority,
        tenant=params.tenant,
        must_end_unix_s=params.must_end_unix_s,
        acceleration=params.acceleration,
        name=f"{params.request_id}/{params.image_index}",
        transformer=transformer,
        prompt_embeds=transformer.to_device(prompt.prompt_embeds),
        pooled_prompt_embeds=transformer.to_device(prompt.pooled_prompt_embeds),
        guidance_scale=params.guidance_scale,
        schedule=schedule,
        latent_image_ids=transformer.to_device(latent_image_ids(shape, transformer.dtype)),
        latents=first_latents,
        first_latents=first_latents,
        preview_steps=preview_steps(schedule.num_steps, params.num_previews),
    )
