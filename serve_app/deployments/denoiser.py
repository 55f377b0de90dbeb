"""The transformer denoiser as a Serve deployment."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager, aclosing
from itertools import count
from typing import Any

import torch

from serve_app.config import EngineConfig, LiveDenoiserConfig, ModelConfig
from serve_app.deployments.end_replica import end_replica
from serve_app.deployments.engine_metrics import EngineMetrics
from serve_app.deployments.live_config import LiveConfig, overridden
from serve_app.deployments.logs import log_through_serve, set_log_level
from serve_app.deployments.stage_clock import StageClock, Timing
from serve_app.deployments.turns import Turns
from serve_app.engine.adapter_store import AdapterLease, AdapterStore
from serve_app.engine.cost_model import FluxGeometry
from serve_app.engine.engine import Engine
from serve_app.engine.job import Job, image_to_image_job, text_to_image_job
from serve_app.engine.stats import EngineStats
from serve_app.engine.transformers import Transformers
from serve_app.messages import DenoiseParams, EncodedImage, Latents, PromptEmbeds
from serve_app.model_facts import read_model_facts
from serve_app.routing.report import Report
from serve_app.scaling.reports import EngineWork
from serve_app.spent import Spent
from serve_app.stages.device import place
from serve_app.stages.transformer import TransformerStage


class Denoiser:
    """Denoises pictures; the engine owns the loop and its thread."""

    def __init__(self, model: ModelConfig, engine: EngineConfig) -> None:
        log_through_serve()
        dtype, device = place(model)
        self._transformer = TransformerStage.load(model.directory, dtype, device)
        self._fast = (
            self._transformer
            if model.go_fast == "off"
            else self._transformer.in_8_bits(model.directory, model.go_fast)
        )
        transformers = Transformers(are_compiled=model.torch_compile)
        facts = read_model_facts(model.directory)
        transformers.warm_up([self._transformer, self._fast], facts.max_sequence_length)
        self._engine = Engine(self._transformer, engine, transformers, end_replica)
        self._adapters = AdapterStore(
            model.loras, self._transformer, model.lora_memory_bytes, model.max_loaded_loras
        )
        self._engine_config = engine
        self._live_config = LiveConfig("Denoiser")
        self._metrics = EngineMetrics()
        self._clock = StageClock()
        self._turns = Turns()
        self._report_numbers = count()
        self._flops_per_pixel = FluxGeometry.of(
            self._transformer.transformer.config
        ).flops_per_pixel(facts.canvas_multiple, facts.max_sequence_length)

    async def denoise(
        self, embeds: PromptEmbeds, params: DenoiseParams, image: EncodedImage | None = None
    ) -> Latents:
        """Return a picture's latents, on the CPU.

        Cancelling this call makes its job leave the engine before the next step.
        """
        with self._timing(params) as timing, self._adapters.acquire(params.loras) as lease:
            job = await self._job(embeds, params, image, lease)
            latents = await asyncio.wrap_future(self._engine.submit(job))
            timing.worked_s = job.ran_s
        spent = spent_before(embeds, image) + timing.spent
        return Latents(latents, params.canvas, embeds.facts, spent=spent)

    async def denoise_stream(
        self, embeds: PromptEmbeds, params: DenoiseParams, image: EncodedImage | None = None
    ) -> AsyncGenerator[Latents]:
        """Yield the latents of a picture's previews as they come, then its own.

        Closing the generator makes its job leave the engine before the next step.
        """
        with self._timing(params) as timing, self._adapters.acquire(params.loras) as lease:
            job = await self._job(embeds, params, image, lease)
            async with aclosing(self._streamed(job)) as streamed:
                async for latents, is_preview in streamed:
                    timing.worked_s = job.ran_s
                    spent = spent_before(embeds, image) + timing.spent
                    yield Latents(latents, params.canvas, embeds.facts, is_preview, spent)

    async def denoise_suspect(
        self, embeds: PromptEmbeds, params: DenoiseParams, image: EncodedImage | None = None
    ) -> AsyncGenerator[Latents | None]:
        """Yield None when it is this picture's turn, then what `denoise_stream` yields."""
        picture = self.denoise_stream(embeds, params, image)
        async with aclosing(self._turns.taken_by(picture)) as taken:
            async for latents in taken:
                yield latents

    async def _streamed(self, job: Job) -> AsyncGenerator[tuple[torch.Tensor, bool]]:
        """Yield a job's previews as they come, then its latents, and which of both it is."""
        loop = asyncio.get_running_loop()
        previews: asyncio.Queue[torch.Tensor | None] = asyncio.Queue()

        def on_preview(preview: torch.Tensor) -> None:
            loop.call_soon_threadsafe(previews.put_nowait, preview)

        job.on_preview = on_preview
        done = asyncio.wrap_future(self._engine.submit(job))
        done.add_done_callback(lambda _: previews.put_nowait(None))
        try:
            while (preview := await previews.get()) is not None:
                yield preview, True
            yield await done, False
        finally:
            done.cancel()

    def _timing(self, params: DenoiseParams) -> AbstractContextManager[Timing]:
        return self._clock.timing(
            "denoise",
            request_id=params.request_id,
            image_index=params.image_index,
            canvas=str(params.canvas),
            num_inference_steps=params.num_inference_steps,
            priority=params.priority.name.lower(),
        )

    async def _job(
        self,
        embeds: PromptEmbeds,
        params: DenoiseParams,
        image: EncodedImage | None,
        lease: AdapterLease,
    ) -> Job:
        adapters = await asyncio.wrap_future(lease.ready)
        # In a thread, for a copy to a GPU waits for the step that runs there.
        job = await asyncio.to_thread(self._new_job, embeds, params, image)
        job.adapters = adapters
        return job

    def _new_job(
        self, embeds: PromptEmbeds, params: DenoiseParams, image: EncodedImage | None
    ) -> Job:
        transformer = self._fast if params.is_fast else self._transformer
        if image is None:
            return text_to_image_job(transformer, embeds, params)
        return image_to_image_job(transformer, embeds, params, image)

    def reconfigure(self, user_config: dict[str, Any] | None) -> None:
        """Take over a `user_config`, between two steps.

        Raises:
            ConfigError: It is the first one, and not valid; a later one leaves all as it is.
        """
        live = self._live_config.read(LiveDenoiserConfig, user_config)
        if live is not None:
            set_log_level(live.log_level)
            self._engine.reconfigure(overridden(self._engine_config, live.engine))

    def stats(self) -> EngineStats:
        """Return how the engine stands."""
        return self._engine.stats()

    def record_autoscaling_stats(self) -> dict[str, float]:
        """Tell Serve's autoscaler how much work there is, and how fast it is done."""
        return EngineWork.of(self._engine.stats()).numbers()

    def record_routing_stats(self) -> dict[str, Any]:
        """Tell who sends pictures how long one would wait here."""
        stats, outlook = self._engine.stats(), self._engine.outlook()
        s_per_pixel_step = stats.s_per_flop * self._flops_per_pixel
        number = next(self._report_numbers)
        return Report(number, outlook, s_per_pixel_step, stats.slo_factor).as_stats()

    def check_health(self) -> None:
        """Tell Prometheus how the engine stands; one that cannot denoise any more ends here."""
        if not self._engine.is_healthy:
            end_replica("the engine stands still")
        self._metrics.publish(self._engine.stats())


def spent_before(embeds: PromptEmbeds, image: EncodedImage | None) -> Spent:
    """Return what a picture took before the denoiser had it."""
    return embeds.spent if image is None else embeds.spent.beside(image.spent)
