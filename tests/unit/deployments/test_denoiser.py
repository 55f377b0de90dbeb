"""The denoiser's two calls give the same picture, and leaving one frees the engine."""

import asyncio
import os
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from serve_app.config import EngineConfig, ModelConfig
from serve_app.deployments.denoiser import Denoiser
from serve_app.deployments.text_encoder import TextEncoder
from serve_app.deployments.vae import Vae
from serve_app.errors import StageFailedError
from serve_app.messages import DenoiseParams, InputImage, Lora, PromptEmbeds, Size
from serve_app.stages.lora_file import linear_shapes
from serve_app.stages.transformer import TransformerStage
from tests.unit.stages.lora_files import CPU, random_lora, save_lora

CANVAS = Size(64, 48)


@pytest.fixture(scope="module")
def model(flux_directory: Path) -> ModelConfig:
    return ModelConfig(path=str(flux_directory), device="cpu")


@pytest.fixture(scope="module")
def denoiser(model: ModelConfig) -> Denoiser:
    return Denoiser(model, EngineConfig(token_budget=1))


@pytest.fixture(scope="module")
def embeds(model: ModelConfig) -> PromptEmbeds:
    return asyncio.run(TextEncoder(model).encode("a cat"))


def params(num_previews: int = 0, num_steps: int = 4, strength: float = 1.0) -> DenoiseParams:
    return DenoiseParams("req_1", 0, CANVAS, 7, num_steps, 4.5, strength, num_previews)


async def test_the_stream_ends_with_the_picture_of_the_unary_call(
    denoiser: Denoiser, embeds: PromptEmbeds
) -> None:
    alone = await denoiser.denoise(embeds, params())
    streamed = [latents async for latents in denoiser.denoise_stream(embeds, params(2))]
    assert [latents.is_preview for latents in streamed] == [True, True, False]
    assert torch.equal(streamed[-1].latents, alone.latents)
    assert not torch.allclose(streamed[0].latents, alone.latents, atol=1e-3)
    assert all(latents.facts == embeds.facts for latents in streamed)


async def test_a_stream_without_previews_is_the_picture_alone(
    denoiser: Denoiser, embeds: PromptEmbeds
) -> None:
    (latents,) = [latents async for latents in denoiser.denoise_stream(embeds, params())]
    assert not latents.is_preview


async def test_an_edit_starts_from_the_picture(
    denoiser: Denoiser, model: ModelConfig, embeds: PromptEmbeds
) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    image = await Vae(model).encode(InputImage(picture, 0.3), CANVAS, seed=7)
    slight = params(num_steps=10, strength=0.3)
    edited = await denoiser.denoise(embeds, slight, image)
    new = await denoiser.denoise(embeds, params(num_steps=10))
    distance = (edited.latents - image.image_latents).norm()
    assert distance < (new.latents - image.image_latents).norm()
    streamed = [latents async for latents in denoiser.denoise_stream(embeds, slight, image)]
    assert torch.equal(streamed[-1].latents, edited.latents)


async def test_a_stream_that_is_left_frees_the_engine(
    denoiser: Denoiser, embeds: PromptEmbeds
) -> None:
    endless = params(num_previews=1, num_steps=50_000)
    async with aclosing(denoiser.denoise_stream(embeds, params(3, num_steps=400))) as stream:
        assert (await anext(stream)).is_preview
    async with asyncio.timeout(60):
        task = asyncio.create_task(anext(denoiser.denoise_stream(embeds, endless)))
        await asyncio.sleep(0.2)
        task.cancel()
        # The engine runs one job at a time: this one is answered only if the others left.
        assert not (await denoiser.denoise(embeds, params(num_steps=1))).is_preview


async def test_a_failed_job_fails_its_stream(
    denoiser: Denoiser, embeds: PromptEmbeds, caplog: pytest.LogCaptureFixture
) -> None:
    broken = PromptEmbeds(
        embeds.prompt_embeds * float("nan"), embeds.pooled_prompt_embeds, embeds.facts
    )
    with pytest.raises(StageFailedError):
        _ = [latents async for latents in denoiser.denoise_stream(broken, params())]


async def test_an_engine_that_stands_still_ends_the_replica(
    model: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = list[int]()
    monkeypatch.setattr(os, "_exit", ended.append)
    denoiser = Denoiser(model, EngineConfig(token_budget=1))
    denoiser.check_health()
    assert not ended
    denoiser._engine.close()
    denoiser.check_health()
    assert ended == [1]


async def test_a_suspect_hears_of_its_turn_and_they_come_one_by_one(
    denoiser: Denoiser, embeds: PromptEmbeds
) -> None:
    first, second = (denoiser.denoise_suspect(embeds, params()) for _ in range(2))
    assert await anext(first) is None
    waiting = asyncio.create_task(anext(second))
    (latents,) = [latents async for latents in first]
    assert latents is not None
    assert await waiting is None
    (other,) = [latents async for latents in second]
    assert other is not None
    assert torch.equal(latents.latents, other.latents)


async def test_requests_with_adapters_share_a_batch_with_one_without(
    model: ModelConfig, embeds: PromptEmbeds, tmp_path: Path
) -> None:
    shapes = linear_shapes(TransformerStage.load(model.directory, torch.float32, CPU).transformer)
    files = {name: tmp_path / f"{name}.safetensors" for name in ("ink", "wool")}
    for seed, file in enumerate(files.values()):
        save_lora(file, random_lora(shapes, seed=seed))
    engine = EngineConfig(policy="fcfs", token_budget=10_000)
    denoiser = Denoiser(model.model_copy(update={"loras": files}), engine)

    async def latents(*loras: Lora) -> torch.Tensor:
        return (await denoiser.denoise(embeds, replace(params(), loras=loras))).latents

    asked = [(), (Lora("ink"),), (Lora("wool", 0.5),), (Lora("ink"), Lora("wool", 0.5))]
    alone = [await latents(*loras) for loras in asked]
    together = await asyncio.gather(*(latents(*loras) for loras in asked))
    for one, other in zip(alone, together, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=0)
    for index, one in enumerate(alone):
        assert all(not torch.allclose(one, other, atol=1e-2) for other in alone[index + 1 :])
    streamed = [
        one async for one in denoiser.denoise_stream(embeds, replace(params(1), loras=asked[1]))
    ]
    torch.testing.assert_close(streamed[-1].latents, alone[1], atol=1e-5, rtol=0)


async def test_a_user_config_changes_a_denoiser_that_serves(
    model: ModelConfig, embeds: PromptEmbeds
) -> None:
    denoiser = Denoiser(model, EngineConfig(token_budget=7))
    denoiser.reconfigure({"engine": {"slo_factor": 2}})
    assert denoiser.stats().token_budget == 7
    denoiser.reconfigure({"engine": {"token_budget": 5}})
    assert denoiser.stats().token_budget == 5
    denoiser.reconfigure({"engine": {"token_budget": 0}})
    assert denoiser.stats().token_budget == 5
    assert torch.isfinite((await denoiser.denoise(embeds, params())).latents).all()


async def test_a_broken_adapter_fails_its_request_only(
    model: ModelConfig, embeds: PromptEmbeds, tmp_path: Path
) -> None:
    file = tmp_path / "broken.safetensors"
    file.write_bytes(b"not a LoRA")
    denoiser = Denoiser(
        model.model_copy(update={"loras": {"broken": file}}), EngineConfig(token_budget=1)
    )
    with pytest.raises(StageFailedError):
        await denoiser.denoise(embeds, replace(params(), loras=(Lora("broken"),)))
    assert torch.isfinite((await denoiser.denoise(embeds, params())).latents).all()


async def test_a_request_in_a_hurry_gets_the_transformer_in_8_bits(
    denoiser: Denoiser, model: ModelConfig, embeds: PromptEmbeds
) -> None:
    engine = EngineConfig(policy="fcfs", token_budget=10_000)
    both = Denoiser(model.model_copy(update={"go_fast": "int8"}), engine)
    hurried = replace(params(), is_fast=True)
    fast_one, exact_one = both.denoise(embeds, hurried), both.denoise(embeds, params())
    fast, exact = await asyncio.gather(fast_one, exact_one)
    expected = await denoiser.denoise(embeds, params())
    torch.testing.assert_close(exact.latents, expected.latents, atol=2e-6, rtol=0)
    assert not torch.allclose(fast.latents, exact.latents, atol=1e-4)
    assert torch.nn.functional.cosine_similarity(fast.latents, exact.latents, dim=-1).min() > 0.99
    # Where there is none, the exact one does it.
    plain = await denoiser.denoise(embeds, hurried)
    assert torch.equal(plain.latents, expected.latents)
