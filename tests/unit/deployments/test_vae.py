"""A picture never waits for previews, and the config chooses what makes a preview."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch

from serve_app.config import ModelConfig
from serve_app.deployments.vae import Vae
from serve_app.messages import InputImage, Latents, PromptFacts, Size

CANVAS = Size(64, 48)
PICTURE = Latents(
    torch.randn(1, 12, 64, generator=torch.Generator().manual_seed(0)),
    CANVAS,
    PromptFacts(num_tokens=1, is_truncated=False),
)
PREVIEW = replace(PICTURE, is_preview=True)


@pytest.fixture(scope="module")
def model(flux_directory: Path) -> ModelConfig:
    return ModelConfig(path=str(flux_directory), device="cpu")


async def test_pictures_and_edits_go_before_previews(model: ModelConfig) -> None:
    vae, ended = Vae(model), list[str]()
    edit = InputImage(np.zeros((48, 64, 3), np.uint8), 0.5)
    calls = {f"preview {index}": vae.decode(PREVIEW) for index in range(8)} | {
        "picture": vae.decode(PICTURE),
        "edit": vae.encode(edit, CANVAS, seed=7),
    }
    tasks = [asyncio.create_task(call, name=name) for name, call in calls.items()]
    for task in tasks:
        task.add_done_callback(
            lambda task: ended.append(cast(asyncio.Task[object], task).get_name())
        )
    await asyncio.gather(*tasks)
    # All wait before the event loop turns again; the first may be on its way by then.
    assert ended.index("picture") < ended.index("edit") < ended.index("preview 7")
    assert len(ended) == len(calls)
    previews = [name for name in ended if name.startswith("preview")]
    assert previews == sorted(previews)


async def test_by_default_a_preview_is_decoded_as_the_picture_is(model: ModelConfig) -> None:
    vae = Vae(model)
    preview, picture = await asyncio.gather(vae.decode(PREVIEW), vae.decode(PICTURE))
    assert preview.is_preview
    assert np.array_equal(preview.array, picture.array)


async def test_linear_previews_leave_the_picture_as_it_is(model: ModelConfig) -> None:
    linear, plain = Vae(model.model_copy(update={"previews": "linear"})), Vae(model)
    picture, expected = await asyncio.gather(linear.decode(PICTURE), plain.decode(PICTURE))
    assert np.array_equal(picture.array, expected.array)
    preview = await linear.decode(PREVIEW)
    assert preview.is_preview
    assert preview.array.shape == picture.array.shape
    assert not np.array_equal(preview.array, picture.array)
