"""What an ingress has promised counts until it is written, and as the engine will count it."""

from collections.abc import Callable

import numpy as np
import pytest

from serve_app.engine.cost_model import FluxGeometry
from serve_app.messages import GenerationParams, InputImage, Size
from serve_app.model_facts import ModelFacts
from serve_app.scaling.arrivals import MEMORY_S
from serve_app.scaling.promises import Promises
from serve_app.scaling.reports import PromisedWork

GEOMETRY = FluxGeometry(64, 1, 2, 64, 32, 16, guidance_embeds=True)
STEP_FLOPS = GEOMETRY.step_flops(image_seq_len=8, text_seq_len=24)


@pytest.fixture
def promises() -> Promises:
    return Promises(ModelFacts(canvas_multiple=16, max_sequence_length=24), GEOMETRY)


def params(num_images: int = 1, strength: float | None = None) -> GenerationParams:
    picture = np.zeros((32, 64, 3), dtype=np.uint8)
    return GenerationParams(
        request_id="req_1",
        prompt="a red circle",
        num_images=num_images,
        seed=0,
        canvas=Size(64, 32),
        output=Size(64, 32),
        num_inference_steps=10,
        guidance_scale=4.5,
        output_format="png",
        output_compression=100,
        delivery="url",
        input_image=None if strength is None else InputImage(picture, strength),
    )


def test_a_request_counts_while_it_is_held(promises: Promises) -> None:
    with promises.held(params(), 0), promises.held(params(num_images=3), 0):
        total = promises.total(0)
        assert (total.num_pictures, total.num_steps) == (4, 40)
        assert total.flops == 40 * STEP_FLOPS
    total = promises.total(0)
    assert (total.num_pictures, total.num_steps, total.flops) == (0, 0, 0)


def test_a_request_shrinks_with_each_picture_that_is_written(promises: Promises) -> None:
    with promises.held(params(num_images=8), 0) as promise:
        for _ in range(7):
            promise.keep_one()
        total = promises.total(0)
        assert (total.num_pictures, total.num_steps, total.flops) == (1, 10, 10 * STEP_FLOPS)
        assert len(promises) == 1


def test_a_picture_that_is_written_twice_counts_once(promises: Promises) -> None:
    with promises.held(params(num_images=3), 0), promises.held(params(), 0) as promise:
        promise.keep_one()
        promise.keep_one()
        assert promises.total(0).num_pictures == 3


def test_what_is_not_denoised_takes_nothing_away(promises: Promises) -> None:
    with promises.held(params(num_images=2), 0), promises.held(params(strength=0), 0) as promise:
        promise.keep_one()
        assert promises.total(0).num_pictures == 2


def test_arrivals_do_not_shrink(promises: Promises) -> None:
    with promises.held(params(num_images=2), 100) as promise:
        promise.keep_one()
        assert promises.total(100).steps_per_s == 20 / MEMORY_S


def test_a_request_without_steps_is_one_too(promises: Promises) -> None:
    with promises.held(params(strength=0), 0):
        assert len(promises) == 1
    assert len(promises) == 0


def test_one_that_fails_counts_no_longer(promises: Promises) -> None:
    with pytest.raises(RuntimeError), promises.held(params(), 0):
        raise RuntimeError
    assert promises.total(0).num_pictures == 0


@pytest.mark.parametrize(("strength", "num_steps"), [(1.0, 10), (0.3, 3), (0.01, 1), (0.0, 0)])
def test_an_edit_counts_the_steps_that_it_will_run(
    promises: Promises, strength: float, num_steps: int
) -> None:
    with promises.held(params(strength=strength), 0):
        assert promises.total(0).num_steps == num_steps


def test_arrivals_outlive_their_requests(promises: Promises) -> None:
    with promises.held(params(num_images=2), 100):
        pass
    total = promises.total(100)
    assert total.steps_per_s == 20 / MEMORY_S
    assert total.flops_per_s == pytest.approx(20 * STEP_FLOPS / MEMORY_S)


def as_sent(numbers: Callable[[], dict[str, float]]) -> set[type]:
    return {type(value) for value in numbers().values()}


def test_serve_is_sent_numbers_only(promises: Promises) -> None:
    assert as_sent(PromisedWork().numbers) == {float}
    with promises.held(params(), 0):
        assert as_sent(promises.total(1).numbers) <= {int, float}
