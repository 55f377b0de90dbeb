"""The pictures that every loop gets: mixed sizes and steps, always the same."""

import random
from collections.abc import Callable

import torch

from serve_app.config import EMBEDDED_MODEL_DIR
from serve_app.engine.job import Job, text_to_image_job
from serve_app.messages import DenoiseParams, PromptEmbeds, Size
from serve_app.stages.text_encoder import TextEncoderStage
from serve_app.stages.transformer import TransformerStage

SIZES = {Size(256, 256): 50, Size(384, 256): 30, Size(512, 512): 20}  # in percent
STEPS = (8, 16, 28, 32)

Make = Callable[[int], Job]


def job_maker(transformer: TransformerStage) -> Make:
    """Return what makes the job of a number: always the same one."""
    encoder = TextEncoderStage.load(EMBEDDED_MODEL_DIR, torch.float32, torch.device("cpu"))
    embeds: PromptEmbeds = encoder.encode("a red circle on a blue background")

    def make(number: int) -> Job:
        rng = random.Random(number)  # noqa: S311 - no secret
        canvas = rng.choices(list(SIZES), list(SIZES.values()))[0]
        params = DenoiseParams("bench", number, canvas, number, rng.choice(STEPS), 4.5)
        return text_to_image_job(transformer, embeds, params)

    return make


def at_once(make: Make, num_jobs: int) -> list[Job]:
    """Return new jobs that are all there from the start."""
    return [make(number) for number in range(num_jobs)]


def coming(make: Make, num_jobs: int, gap_s: float) -> list[Job]:
    """Return new jobs by their arrival, in seconds, so far apart on average: always the same."""
    rng = random.Random(0)  # noqa: S311 - no secret
    jobs, arrival_s = at_once(make, num_jobs), 0.0
    for job in jobs:
        arrival_s += rng.expovariate(1 / gap_s)
        job.arrived_at = arrival_s
    return jobs
