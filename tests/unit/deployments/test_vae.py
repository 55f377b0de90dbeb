"""A picture never waits for previews, and the config chooses what makes a preview."""

import asyncio
import threading
from dataclasses import replace
from pathlib import Path

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
    vae, ended, opened = Vae(model), list[str](), threading.Event()
    edit = InputImage(np.zeros((48, 64, 3), np.uint8), 0.5)
    calls = {
        "held": vae._thread.run(opened.wait),
        "preview 1": vae.decode(PREVIEW),
        "preview 2": vae.decode(PREVIEW),
        "picture": vae.decode(PICTURE),
        "edit": vae.encode(edit, CANVAS, seed=7),
    }
    tasks = [asyncio.create_task(call, name=name) for name, call in calls.items()]
    for task in tasks:
        task.add_done_callback(lambda task: ended.append(task.get_name()))
    await asyncio.sleep(0)
    opened.set()
    await asyncio.gather(*tasks)
    assert ended == ["held", "picture", "edit", "preview 1", "preview 2"]


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


async def test_a_suspect_hears_of_its_turn_and_gets_the_same_picture(model: ModelConfig) -> None:
    vae = Vae(model)
    turn, pixels = [each async for each in vae.decode_suspect(PICTURE)]
    assert turn is None
    assert pixels is not None
    assert np.array_equal(pixels.array, (await vae.decode(PICTURE)).array)
