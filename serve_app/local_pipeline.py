"""The stages composed in one process, without Ray, through the engine the deployments use."""

from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import torch

from serve_app.config import EngineConfig
from serve_app.engine.engine import Engine
from serve_app.engine.job import Job, OnStep, image_to_image_job, text_to_image_job
from serve_app.messages import DenoiseParams, Latents, Pixels, PromptFacts, Size
from serve_app.stages.text_encoder import TextEncoderStage
from serve_app.stages.transformer import TransformerStage
from serve_app.stages.vae import VaeStage

# Every picture has the bits that diffusers gives it; and nothing is measured at the start.
ONE_AT_A_TIME = EngineConfig(token_budget=1)


@dataclass(frozen=True, slots=True)
class LocalPipeline:
    """All stages of a model; a `with` block ends the engine's thread.

    Pictures are equal, bit for bit, to those of `FluxPipeline`, `FluxImg2ImgPipeline` and
    `FluxInpaintPipeline` with `torch.Generator("cpu").manual_seed(seed)`.
    """

    text_encoder: TextEncoderStage
    transformer: TransformerStage
    vae: VaeStage
    engine: Engine

    @classmethod
    def load(cls, directory: Path, dtype: torch.dtype, device: torch.device) -> Self:
        """Return the pipeline of a diffusers directory.

        Raises:
            WeightsError: A part is missing or broken.
        """
        transformer = TransformerStage.load(directory, dtype, device)
        return cls(
            text_encoder=TextEncoderStage.load(directory, dtype, device),
            transformer=transformer,
            vae=VaeStage.load(directory, dtype, device),
            engine=Engine(transformer, ONE_AT_A_TIME),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.engine.close()

    def generate(
        self,
        prompt: str,
        canvas: Size,
        seed: int,
        num_inference_steps: int,
        guidance_scale: float,
        on_step: OnStep | None = None,
    ) -> Pixels:
        """Return a new picture of the size of the canvas.

        Raises:
            InvalidRequestError: The canvas does not fit the model.
            StageFailedError: A stage failed; the log says why.
        """
        embeds = self.text_encoder.encode(prompt)
        params = _params(canvas, seed, num_inference_steps, guidance_scale)
        job = text_to_image_job(self.transformer, embeds, params)
        return self._picture(job, canvas, embeds.facts, on_step)

    def image_to_image(
        self,
        prompt: str,
        image: np.ndarray,
        strength: float,
        seed: int,
        num_inference_steps: int,
        guidance_scale: float,
        mask: np.ndarray | None = None,
        on_step: OnStep | None = None,
    ) -> Pixels:
        """Return a changed picture of the same size; with a mask, changed only under it.

        Args:
            prompt: What the picture shows afterwards.
            image: (height, width, 3) uint8 RGB.
            strength: How much of it is lost, over 0 up to 1.
            seed: Of all randomness.
            num_inference_steps: At strength 1; in proportion less at a lower one, at least 1.
            guidance_scale: The distilled guidance value.
            mask: (height, width) uint8: only what is 128 and above is painted anew.
            on_step: Is told the steps done and the steps in all.

        Raises:
            InvalidRequestError: The picture's size does not fit the model.
            StageFailedError: A stage failed; the log says why.
        """
        canvas = Size(width=image.shape[1], height=image.shape[0])
        encoded = replace(self.vae.encode(image, seed), mask=mask)
        embeds = self.text_encoder.encode(prompt)
        params = _params(canvas, seed, num_inference_steps, guidance_scale, strength)
        job = image_to_image_job(self.transformer, embeds, params, encoded)
        return self._picture(job, canvas, embeds.facts, on_step)

    def _picture(
        self, job: Job, canvas: Size, facts: PromptFacts, on_step: OnStep | None
    ) -> Pixels:
        latents = self.engine.submit(job, on_step).result()
        return self.vae.decode(Latents(latents, canvas, facts))


def _params(
    canvas: Size,
    seed: int,
    num_inference_steps: int,
    guidance_scale: float,
    strength: float = 1.0,
) -> DenoiseParams:
    return DenoiseParams(
        request_id="local",
        image_index=0,
        canvas=canvas,
        seed=seed,
        num_inference_steps=num_inference_steps,
        guidance_scale=guidance_scale,
        strength=strength,
    )
