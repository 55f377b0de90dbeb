"""Compose the deployments into `generate()` and `stream()`: who calls whom, under one deadline.

Each stage is a pure function of its message, and the seed is in it: a chain of calls can be run
again, whole, when a replica died (`responses.py`).
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from ray import ObjectRef
from ray.serve.handle import DeploymentHandle, DeploymentResponse

from serve_app.deadline import Deadline
from serve_app.messages import (
    DenoiseParams,
    GenerationParams,
    GenerationResult,
    Pixels,
    WriteParams,
    WrittenImage,
)
from serve_app.overtaking import overtaking
from serve_app.responses import Attempt, Responses, count_nothing, retried, retried_stream

STAGES = ("TextEncoder", "Denoiser", "Vae", "ImageWriter")

Reference: TypeAlias = "DeploymentResponse[Any] | ObjectRef[Any]"


@dataclass(frozen=True, slots=True)
class StageHandles:
    """The deployments of the DAG, in the order of a picture's way through them.

    Attributes:
        safety_checker: Has `check(Pixels) -> Verdict`; None where no checker is loaded.
    """

    text_encoder: DeploymentHandle[Any]
    denoiser: DeploymentHandle[Any]
    vae: DeploymentHandle[Any]
    image_writer: DeploymentHandle[Any]
    safety_checker: DeploymentHandle[Any] | None = None


class Pipeline:
    """One request's way through the DAG."""

    def __init__(self, stages: StageHandles, on_retry: Callable[[], None] = count_nothing) -> None:
        """Compose some deployments; `on_retry` is told of each chain that is run again."""
        self._stages = stages
        self._on_retry = on_retry

    async def generate(
        self,
        params: GenerationParams,
        deadline: Deadline,
        on_picture: Callable[[], None] = count_nothing,
    ) -> GenerationResult:
        """Return the pictures of one request, in order; `on_picture` is told of each once.

        Raises:
            RequestError: What the client is to be told; nothing of Ray leaves this method.
        """
        async with deadline.kept():
            return GenerationResult(await self._all_images(params, deadline, on_picture))

    async def stream(
        self, params: GenerationParams, deadline: Deadline
    ) -> AsyncGenerator[WrittenImage]:
        """Yield the previews of one picture and then the picture, all of them as bytes.

        Raises:
            RequestError: What the client is to be told; nothing of Ray leaves this method.
        """
        written = retried_stream(
            lambda responses, attempt: self._streamed(responses, attempt, params, deadline),
            params.request_id,
            self._on_retry,
        )
        try:
            while True:
                # Around each wait and not around the loop: what happens between two items is
                # the consumer's, and so is its cancellation.
                async with deadline.kept():
                    image = await anext(written, None)
                if image is None:
                    return
                yield image
        finally:
            await written.aclose()

    async def _all_images(
        self, params: GenerationParams, deadline: Deadline, on_picture: Callable[[], None]
    ) -> tuple[WrittenImage, ...]:
        async def image(index: int) -> WrittenImage:
            written = await self._image(params, deadline, index, embeds)
            on_picture()
            return written

        with Responses() as responses:
            # Encoded once, and not awaited: every picture's first chain passes it on.
            embeds = None if is_unchanged(params) else self._encoded(responses, params)
            try:
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(image(index)) for index in range(params.num_images)]
            except ExceptionGroup as failed:
                raise failed.exceptions[0] from None
        return tuple(task.result() for task in tasks)

    async def _image(
        self,
        params: GenerationParams,
        deadline: Deadline,
        index: int,
        embeds: DeploymentResponse[Any] | None,
    ) -> WrittenImage:
        async def chain(responses: Responses, attempt: Attempt) -> WrittenImage:
            if is_unchanged(params):
                return await self._unchanged(responses, params)
            # On another attempt the shared embeddings may be what was lost.
            shared = None if attempt.is_suspect else embeds
            asked = self._denoise_args(responses, params, deadline, index, shared)
            latents: Reference
            if attempt.is_suspect:
                method = self._stages.denoiser.denoise_suspect
                latents = await only(in_turn(responses, attempt, method, *asked))
            else:
                latents = responses.start(self._stages.denoiser.denoise, *asked)
            return await self._decoded(responses, attempt, params, index, latents)

        return await retried(chain, params.request_id, self._on_retry)

    async def _streamed(
        self,
        responses: Responses,
        attempt: Attempt,
        params: GenerationParams,
        deadline: Deadline,
    ) -> AsyncGenerator[WrittenImage]:
        if is_unchanged(params):
            yield await self._unchanged(responses, params)
            return
        asked = self._denoise_args(responses, params, deadline, 0, None)
        denoiser = self._stages.denoiser
        if attempt.is_suspect:
            denoised = in_turn(responses, attempt, denoiser.denoise_suspect, *asked)
        else:
            denoised = responses.start_stream(denoiser.denoise_stream, *asked)

        async def decode(latents: Reference) -> WrittenImage:
            # Held by itself, for a preview that the picture overtakes is cancelled by itself.
            with Responses() as of_one:
                return await self._decoded(of_one, attempt, params, 0, latents)

        async with aclosing(overtaking(denoised, decode)) as decoded:
            async for image in decoded:
                yield image

    def _encoded(self, responses: Responses, params: GenerationParams) -> DeploymentResponse[Any]:
        return responses.start(self._stages.text_encoder.encode, params.prompt)

    def _denoise_args(
        self,
        responses: Responses,
        params: GenerationParams,
        deadline: Deadline,
        index: int,
        embeds: DeploymentResponse[Any] | None,
    ) -> tuple[object, ...]:
        """Start what comes before the denoiser; return what it is called with."""
        stages, asked = self._stages, denoise_params(params, deadline, index)
        embeds = embeds or self._encoded(responses, params)
        if params.input_image is None:
            return embeds, asked
        image = params.input_image
        return embeds, asked, responses.start(stages.vae.encode, image, params.canvas, asked.seed)

    async def _decoded(
        self,
        responses: Responses,
        attempt: Attempt,
        params: GenerationParams,
        index: int,
        latents: Reference,
    ) -> WrittenImage:
        """Run what comes after the denoiser."""
        vae = self._stages.vae
        pixels: Reference
        if attempt.is_suspect:
            pixels = await only(in_turn(responses, attempt, vae.decode_suspect, latents))
        else:
            pixels = responses.start(vae.decode, latents)
        return await self._written(responses, params, index, pixels)

    async def _written(
        self,
        responses: Responses,
        params: GenerationParams,
        index: int,
        pixels: "Reference | Pixels",
    ) -> WrittenImage:
        """Check and write a picture; only the last response is awaited."""
        verdict = None
        if self._stages.safety_checker is not None and params.is_safety_checked:
            verdict = responses.start(self._stages.safety_checker.check, pixels)
        asked = write_params(params, index)
        written = responses.start(self._stages.image_writer.write, pixels, asked, verdict)
        return cast(WrittenImage, await responses.unless_lost(written))

    async def _unchanged(self, responses: Responses, params: GenerationParams) -> WrittenImage:
        """Write the input picture as it is; of the prompt only the length counts."""
        assert params.input_image is not None
        facts = await responses.start(self._stages.text_encoder.count, params.prompt)
        return await self._written(responses, params, 0, Pixels(params.input_image.picture, facts))


async def in_turn(
    responses: Responses, attempt: Attempt, method: DeploymentHandle[Any], *args: object
) -> AsyncGenerator[ObjectRef[Any]]:
    """Yield references to what a method yields for a suspect, once it has come to this one."""
    references = responses.start_stream(method, *args)
    # It says so by an item of its own; what fails before is raised here.
    await (await anext(references))
    with attempt.turn():
        async for reference in references:
            yield reference


async def only(references: AsyncGenerator[ObjectRef[Any]]) -> ObjectRef[Any]:
    """Return the one reference there is."""
    (reference,) = [reference async for reference in references]
    return reference


def is_unchanged(params: GenerationParams) -> bool:
    """Whether the input picture is to be delivered as it is, without denoising."""
    return params.input_image is not None and params.input_image.strength == 0


def denoise_params(params: GenerationParams, deadline: Deadline, index: int) -> DenoiseParams:
    """Return what the denoiser needs of picture `index`."""
    return DenoiseParams(
        request_id=params.request_id,
        image_index=index,
        canvas=params.canvas,
        seed=params.image_seed(index),
        num_inference_steps=params.num_inference_steps,
        guidance_scale=params.guidance_scale,
        strength=1.0 if params.input_image is None else params.input_image.strength,
        num_previews=params.num_previews,
        priority=params.priority,
        tenant=params.tenant,
        must_end_unix_s=deadline.ends_at_unix_s,
        acceleration=params.acceleration,
        is_fast=params.is_fast,
        loras=params.loras,
    )


def write_params(params: GenerationParams, index: int = 0) -> WriteParams:
    """Return what the image writer needs of picture `index`."""
    image = params.input_image
    return WriteParams(
        output=params.output,
        output_format=params.output_format,
        output_compression=params.output_compression,
        delivery=params.delivery,
        seed=params.image_seed(index),
        is_edit=image is not None,
        protected=None if image is None or image.mask is None else image,
    )
