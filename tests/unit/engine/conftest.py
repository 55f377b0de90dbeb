"""A real transformer, and jobs for it that need no text encoder."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from serve_app.engine.job import Job, text_to_image_job
from serve_app.messages import DenoiseParams, PromptEmbeds, PromptFacts, Size
from serve_app.stages.transformer import TransformerStage
from tests.unit.stages.random_flux import MAX_SEQUENCE_LENGTH, WIDTH

MakeJob = Callable[..., Job]

SMALL = Size(32, 48)


@pytest.fixture(autouse=True)
def _threads_count_alike() -> None:
    """Let an engine's thread share its work as this one does: the rounding depends on it.

    Another test may have set it in a thread, which changes what new ones take, and not this one.
    """
    torch.set_num_threads(torch.get_num_threads())


@pytest.fixture(scope="session")
def transformer(flux_directory: Path) -> TransformerStage:
    return TransformerStage.load(flux_directory, torch.float32, torch.device("cpu"))


@pytest.fixture
def make_job(transformer: TransformerStage) -> MakeJob:
    def make_job(
        seed: int = 0, num_steps: int = 4, canvas: Size = SMALL, num_previews: int = 0
    ) -> Job:
        generator = torch.Generator().manual_seed(seed)
        embeds = PromptEmbeds(
            prompt_embeds=torch.randn(1, MAX_SEQUENCE_LENGTH, WIDTH, generator=generator),
            pooled_prompt_embeds=torch.randn(1, WIDTH, generator=generator),
            facts=PromptFacts(num_tokens=3, is_truncated=False),
        )
        params = DenoiseParams(
            f"req_{seed}", 0, canvas, seed, num_steps, 4.5, num_previews=num_previews
        )
        return text_to_image_job(transformer, embeds, params)

    return make_job
