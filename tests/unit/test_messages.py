"""What crosses a replica boundary is frozen, and seeds wrap where the contract says."""

import dataclasses
import pickle

import pytest

from serve_app.messages import GenerationParams, Size

PARAMS = GenerationParams(
    request_id="req_0",
    prompt="a red circle",
    num_images=2,
    seed=2**63 - 1,
    canvas=Size(1024, 1024),
    output=Size(1000, 1000),
    num_inference_steps=28,
    guidance_scale=4.5,
    output_format="png",
    output_compression=100,
    delivery="url",
)


def test_image_seed_counts_on_and_wraps() -> None:
    assert PARAMS.image_seed(0) == 2**63 - 1
    assert PARAMS.image_seed(1) == 0


def test_messages_are_frozen_and_survive_pickling() -> None:
    assert pickle.loads(pickle.dumps(PARAMS)) == PARAMS
    with pytest.raises(dataclasses.FrozenInstanceError):
        PARAMS.seed = 1  # type: ignore[misc]


def test_size_reads_as_clients_write_it() -> None:
    assert str(Size(1183, 887)) == "1183x887"
