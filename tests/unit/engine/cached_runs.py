"""Pictures denoised with a first-block cache: alone by diffusers, and in our changing batch."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from diffusers import FirstBlockCacheConfig

from serve_app.diffusion.euler import euler_step
from serve_app.diffusion.latents import LatentShape, cpu_generator, draw_noise, pack_latents
from serve_app.diffusion.latents import latent_image_ids as image_ids_of
from serve_app.diffusion.schedule import SchedulerConfig, build_schedule
from serve_app.engine.packed import PackedInputs, PackedTransformer
from serve_app.engine.step_cache import StepCache, predict
from serve_app.messages import Size
from serve_app.stages.transformer import TransformerStage
from tests.unit.stages.random_flux import LIKE_FLUX, WIDTH, transformer


@dataclass(frozen=True)
class Picture:
    """What is asked for, and in which rounds it is run."""

    canvas: Size
    text_length: int
    num_steps: int
    threshold: float | None
    seed: int
    guidance_scale: float = 4.5
    joins_at: int = 0
    rests_at: frozenset[int] = frozenset()
    first_latent: float = 0.0


@dataclass
class Run:
    """A picture on its way, and what was seen of it in each step."""

    picture: Picture
    stage: TransformerStage
    cache: StepCache | None = None
    noise_preds: list[torch.Tensor] = field(default_factory=list)
    decisions: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        picture, stage = self.picture, self.stage
        shape = LatentShape.of(picture.canvas, stage.vae_scale_factor, stage.num_latent_channels)
        generator = cpu_generator(picture.seed)
        self.latents = pack_latents(draw_noise(shape, generator, stage.dtype))
        self.latents[0, 0, 0] += picture.first_latent
        embeds = torch.randn(1, picture.text_length + 1, WIDTH, generator=generator)
        self.prompt_embeds = stage.to_device(embeds[:, 1:])
        self.pooled_prompt_embeds = stage.to_device(embeds[:, 0])
        self.image_ids = stage.to_device(image_ids_of(shape, stage.dtype))
        self.schedule = build_schedule(
            stage.scheduler_config, shape.image_seq_len, picture.num_steps
        )
        if picture.threshold is not None:
            self.cache = StepCache(picture.threshold)

    @property
    def num_done(self) -> int:
        return len(self.decisions)

    @property
    def is_done(self) -> bool:
        return self.num_done == self.picture.num_steps

    def advance(self, noise_pred: torch.Tensor, is_computed: bool) -> None:
        sigma, sigma_next = self.schedule.sigmas[self.num_done : self.num_done + 2]
        self.latents = euler_step(self.latents, noise_pred, sigma, sigma_next)
        self.noise_preds.append(noise_pred)
        self.decisions.append(is_computed)


def random_stage(dtype: torch.dtype) -> TransformerStage:
    """Return a transformer with blocks of both kinds after its first."""
    torch.manual_seed(0)
    flux = replace(LIKE_FLUX, num_layers=2, num_single_layers=3)
    return TransformerStage(transformer(flux).to(dtype).eval(), SchedulerConfig(), 8)


def inputs_of(runs: Sequence[Run]) -> PackedInputs:
    return PackedInputs(
        latents=[run.latents[0] for run in runs],
        prompt_embeds=[run.prompt_embeds[0] for run in runs],
        pooled_prompt_embeds=torch.cat([run.pooled_prompt_embeds for run in runs]),
        timesteps=torch.stack([run.schedule.timesteps[run.num_done] for run in runs]),
        guidance_scales=torch.tensor([run.picture.guidance_scale for run in runs]),
        latent_image_ids=[run.image_ids for run in runs],
    )


def alone(stage: TransformerStage, picture: Picture) -> Run:
    """Run all steps of one picture through the stock model, with diffusers' own cache."""
    run, model = Run(picture, stage), stage.transformer
    computed: list[bool] = []
    hook = model.single_transformer_blocks[0].norm.register_forward_hook(
        lambda *_: computed.append(True)
    )
    if picture.threshold is not None:
        model.enable_cache(FirstBlockCacheConfig(threshold=picture.threshold))
    while not run.is_done:
        computed.clear()
        with model.cache_context("alone"):
            noise_pred = stage.predict(
                latents=run.latents,
                timestep=run.schedule.timesteps[run.num_done],
                guidance_scale=picture.guidance_scale,
                prompt_embeds=run.prompt_embeds,
                pooled_prompt_embeds=run.pooled_prompt_embeds,
                latent_image_ids=run.image_ids,
            )
        run.advance(noise_pred, bool(computed))
    if picture.threshold is not None:
        model.disable_cache()
    hook.remove()
    return run


def together(stage: TransformerStage, pictures: Sequence[Picture]) -> list[Run]:
    """Run all steps of all pictures, each round with those that are there and do not rest."""
    runs = [Run(picture, stage) for picture in pictures]
    model = PackedTransformer(stage.transformer)
    for tick in range(100):
        active = [
            run
            for run in runs
            if not run.is_done and run.picture.joins_at <= tick and tick not in run.picture.rests_at
        ]
        if active:
            step(model, active)
    assert all(run.is_done for run in runs)
    return runs


def step(model: PackedTransformer, runs: Sequence[Run]) -> None:
    noise_preds = predict(model, inputs_of(runs), [run.cache for run in runs])
    for run, noise_pred in zip(runs, noise_preds, strict=True):
        num_computed = run.num_done + 1 if run.cache is None else run.cache.num_computed
        run.advance(noise_pred[None], num_computed > sum(run.decisions))
