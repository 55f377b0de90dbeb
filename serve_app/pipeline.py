"""Compose the deployments into `generate()`: who calls whom, retries, deadlines, cancellation.

Serve never retries a request that a replica accepted, and cancelling a task that awaits a
response does not cancel the replica's work. So every chain of calls here is held by a
`Responses` block that cancels what it started, and is run again, whole, when a replica died:
each stage is a pure function of its message, and the seed is in it.
"""

import asyncio
import random
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, cast

from ray.serve.handle import DeploymentHandle, DeploymentResponse

from serve_app.errors import DeadlineExceededError
from serve_app.messages import (
    DenoiseParams,
    GenerationParams,
    GenerationResult,
    WriteParams,
    WrittenImage,
)
from serve_app.ray_errors import is_replica_loss, to_request_error

STAGES = ("TextEncoder", "Denoiser", "Vae", "ImageWriter")

MAX_ATTEMPTS = 3
FIRST_BACKOFF_S = 0.1


@dataclass(frozen=True, slots=True)
class StageHandles:
    """The deployments of the DAG, in the order of a picture's way through them."""

    text_encoder: DeploymentHandle[Any]
    denoiser: DeploymentHandle[Any]
    vae: DeploymentHandle[Any]
    image_writer: DeploymentHandle[Any]


class Responses:
    """The responses of one chain of calls; leaving the block by an error cancels them all."""

    def __init__(self) -> None:
        self._responses: list[DeploymentResponse[Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            for response in self._responses:
                response.cancel()

    def start(self, method: DeploymentHandle[Any], *args: object) -> DeploymentResponse[Any]:
        """Call a deployment's method; the response may be passed on without being awaited."""
        # A generator only where `stream=True` was asked for, which nobody does here.
        response = cast(DeploymentResponse[Any], method.remote(*args))
        self._responses.append(response)
        return response


class Pipeline:
    """One request's way through the DAG."""

    def __init__(self, stages: StageHandles, deadline_s: float) -> None:
        self._stages = stages
        self._deadline_s = deadline_s

    async def generate(self, params: GenerationParams) -> GenerationResult:
        """Return the pictures of one request, in order.

        Raises:
            RequestError: What the client is to be told; nothing of Ray leaves this method.
        """
        try:
            async with asyncio.timeout(self._deadline_s):
                return GenerationResult(images=await self._all_images(params))
        except TimeoutError as error:
            raise DeadlineExceededError(
                f"The request did not finish within {self._deadline_s:g} seconds."
            ) from error

    async def _all_images(self, params: GenerationParams) -> tuple[WrittenImage, ...]:
        with Responses() as responses:
            # Encoded once, and not awaited: every picture's first chain passes it on.
            embeds = responses.start(self._stages.text_encoder.encode, params.prompt)
            try:
                async with asyncio.TaskGroup() as group:
                    tasks = [
                        group.create_task(self._image(params, index, embeds))
                        for index in range(params.num_images)
                    ]
            except ExceptionGroup as failed:
                raise failed.exceptions[0] from None
        return tuple(task.result() for task in tasks)

    async def _image(
        self, params: GenerationParams, index: int, embeds: DeploymentResponse[Any] | None
    ) -> WrittenImage:
        attempt = 1
        while True:
            try:
                with Responses() as responses:
                    written: WrittenImage = await self._chain(responses, params, index, embeds)
                    return written
            except Exception as error:
                if attempt == MAX_ATTEMPTS or not is_replica_loss(error):
                    raise to_request_error(error, params.request_id) from error
            await asyncio.sleep(backoff_s(attempt))
            embeds = None  # it may be what was lost
            attempt += 1

    def _chain(
        self,
        responses: Responses,
        params: GenerationParams,
        index: int,
        embeds: DeploymentResponse[Any] | None,
    ) -> DeploymentResponse[Any]:
        """Start one picture's stages; only the last response is for awaiting."""
        stages = self._stages
        if embeds is None:
            embeds = responses.start(stages.text_encoder.encode, params.prompt)
        latents = responses.start(stages.denoiser.denoise, embeds, denoise_params(params, index))
        pixels = responses.start(stages.vae.decode, latents)
        return responses.start(stages.image_writer.write, pixels, write_params(params))


def backoff_s(attempt: int) -> float:
    """Return the jittered pause after failed attempt number `attempt`, in seconds."""
    return FIRST_BACKOFF_S * 2.0 ** (attempt - 1) * random.uniform(1, 2)  # noqa: S311 - jitter


def denoise_params(params: GenerationParams, index: int) -> DenoiseParams:
    """Return what the denoiser needs of picture `index`."""
    return DenoiseParams(
        request_id=params.request_id,
        image_index=index,
        canvas=params.canvas,
        seed=params.image_seed(index),
        num_inference_steps=params.num_inference_steps,
        guidance_scale=params.guidance_scale,
    )


def write_params(params: GenerationParams) -> WriteParams:
    """Return what the image writer needs."""
    return WriteParams(
        output=params.output,
        output_format=params.output_format,
        output_compression=params.output_compression,
        delivery=params.delivery,
    )
