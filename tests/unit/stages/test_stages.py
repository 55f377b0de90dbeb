"""Each stage alone: what it takes, what it gives, and what it refuses."""

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import FluxPipeline

from serve_app.config import ModelConfig
from serve_app.errors import ConfigError, InvalidRequestError, StageFailedError
from serve_app.messages import Latents, PromptFacts, Size
from serve_app.stages.device import place
from serve_app.stages.text_encoder import TextEncoderStage
from serve_app.stages.transformer import TransformerStage
from serve_app.stages.vae import VaeStage
from tests.unit.stages.random_flux import MAX_SEQUENCE_LENGTH, WIDTH

CPU = torch.device("cpu")
FACTS = PromptFacts(num_tokens=1, is_truncated=False)


@pytest.fixture(scope="module")
def text_encoder(flux_directory: Path) -> TextEncoderStage:
    return TextEncoderStage.load(flux_directory, torch.float32, CPU)


@pytest.fixture(scope="module")
def vae(flux_directory: Path) -> VaeStage:
    return VaeStage.load(flux_directory, torch.float32, CPU)


@pytest.mark.parametrize("prompt", ["", "a cat", "Ünïcode ☃ 猫", "a very long prompt " * 40])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_prompt_embeds_equal_diffusers(
    flux_directory: Path, prompt: str, dtype: torch.dtype
) -> None:
    embeds = TextEncoderStage.load(flux_directory, dtype, CPU).encode(prompt)
    pipeline = FluxPipeline.from_pretrained(flux_directory, transformer=None, vae=None, dtype=dtype)
    with torch.no_grad():
        prompt_embeds, pooled_prompt_embeds, _ = pipeline.encode_prompt(
            prompt, max_sequence_length=MAX_SEQUENCE_LENGTH
        )
    assert embeds.prompt_embeds.shape == (1, MAX_SEQUENCE_LENGTH, WIDTH)
    assert embeds.pooled_prompt_embeds.shape == (1, WIDTH)
    assert torch.equal(embeds.prompt_embeds, prompt_embeds)
    assert torch.equal(embeds.pooled_prompt_embeds, pooled_prompt_embeds)


def test_padding_is_part_of_the_prompt(text_encoder: TextEncoderStage) -> None:
    ids = text_encoder.tokenizer_2("a cat", return_tensors="pt").input_ids
    with torch.no_grad():
        unpadded = text_encoder.text_encoder_2(ids).last_hidden_state
    padded = text_encoder.encode("a cat").prompt_embeds[:, : ids.shape[1]]
    assert not torch.allclose(padded, unpadded, atol=1e-3)


@pytest.mark.parametrize(
    # The tiny tokenizer makes a token of each letter, after one for the start of a word.
    ("prompt", "num_tokens", "is_truncated"),
    [
        ("", 1, False),
        ("abc", 5, False),
        ("x" * (MAX_SEQUENCE_LENGTH - 2), MAX_SEQUENCE_LENGTH, False),
        ("x" * (MAX_SEQUENCE_LENGTH - 1), MAX_SEQUENCE_LENGTH, True),
        ("x" * 500, MAX_SEQUENCE_LENGTH, True),
    ],
)
def test_prompt_facts(
    text_encoder: TextEncoderStage, prompt: str, num_tokens: int, is_truncated: bool
) -> None:
    facts = text_encoder.encode(prompt).facts
    assert facts == PromptFacts(num_tokens=num_tokens, is_truncated=is_truncated)


@pytest.mark.parametrize(
    ("fixture", "vae_scale_factor", "num_channels"),
    [("flux_directory", 8, 16), ("coarse_flux_directory", 32, 8)],
)
def test_transformer_facts(
    request: pytest.FixtureRequest, fixture: str, vae_scale_factor: int, num_channels: int
) -> None:
    stage = TransformerStage.load(request.getfixturevalue(fixture), torch.bfloat16, CPU)
    assert stage.vae_scale_factor == vae_scale_factor
    assert stage.num_latent_channels == num_channels
    assert stage.dtype == torch.bfloat16
    assert stage.device == CPU
    assert stage.scheduler_config.num_train_timesteps == 1000


def test_latents_that_are_not_finite_are_not_a_picture(vae: VaeStage) -> None:
    latents = torch.full((1, 4, 64), float("nan"))
    with pytest.raises(StageFailedError) as failure:
        vae.decode(Latents(latents, Size(32, 32), FACTS))
    assert failure.value.stage == "vae"


def test_decode_carries_the_facts_on(vae: VaeStage) -> None:
    pixels = vae.decode(Latents(torch.zeros(1, 6, 64), Size(48, 32), FACTS))
    assert pixels.array.shape == (32, 48, 3)
    assert pixels.facts is FACTS


def test_encode_and_decode_refuse_a_size_that_does_not_fit(vae: VaeStage) -> None:
    with pytest.raises(InvalidRequestError):
        vae.decode(Latents(torch.zeros(1, 6, 64), Size(50, 32), FACTS))
    with pytest.raises(InvalidRequestError):
        vae.encode(np.zeros((32, 50, 3), np.uint8), 0)


def test_encode_does_not_depend_on_the_memory_layout_of_the_picture(vae: VaeStage) -> None:
    image = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    encoded = vae.encode(image, 1)
    strided = vae.encode(np.asfortranarray(image), 1)
    assert encoded.image_latents.shape == encoded.noise.shape == (1, 6, 64)
    assert torch.equal(encoded.image_latents, strided.image_latents)
    assert torch.equal(encoded.noise, strided.noise)


def test_the_vae_sample_and_the_noise_depend_on_the_seed(vae: VaeStage) -> None:
    image = np.zeros((32, 48, 3), np.uint8)
    one, other = vae.encode(image, 1), vae.encode(image, 2)
    assert not torch.equal(one.image_latents, other.image_latents)
    assert not torch.equal(one.noise, other.noise)


@pytest.fixture
def _same_threads_afterwards() -> object:
    num_threads = torch.get_num_threads()
    yield
    torch.set_num_threads(num_threads)


@pytest.mark.usefixtures("_same_threads_afterwards")
def test_place() -> None:
    dtype, device = place(ModelConfig(dtype="bfloat16", device="cpu", num_threads=1))
    assert (dtype, device) == (torch.bfloat16, CPU)
    assert torch.get_num_threads() == 1
    automatic = place(ModelConfig(num_threads=1))
    assert automatic == (
        torch.float32,
        torch.device("cuda" if torch.cuda.is_available() else "cpu"),
    )


@pytest.mark.parametrize("device", ["warp", "cpu:x", "cuda:99"])
@pytest.mark.usefixtures("_same_threads_afterwards")
def test_a_device_that_is_not_there(device: str) -> None:
    with pytest.raises(ConfigError, match=f"device '{device}' cannot be used"):
        place(ModelConfig(device=device))
