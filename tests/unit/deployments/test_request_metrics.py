"""What is counted of a request, and what classes it is counted by."""

import asyncio

import numpy as np
import pytest

from serve_app.api.observed import Observed, observing
from serve_app.deployments.request_metrics import RequestMetrics, pixel_steps, size_class
from serve_app.errors import AuthenticationError, OverloadedError, RequestError
from serve_app.messages import GenerationParams, InputImage, Size
from tests.unit.deployments.conftest import Readings

PIXEL_STEPS = "krea_serve_pixel_steps"
AUTHENTICATION_FAILURES = "krea_serve_authentication_failures"
RETRIES = "krea_serve_retries"


def params(
    canvas: Size = Size(128, 64), num_steps: int = 10, strength: float | None = None
) -> GenerationParams:
    picture = np.zeros((canvas.height, canvas.width, 3), np.uint8)
    return GenerationParams(
        request_id="req_1",
        prompt="a circle",
        num_images=2,
        seed=0,
        canvas=canvas,
        output=Size(100, 50),
        num_inference_steps=num_steps,
        guidance_scale=3.5,
        output_format="png",
        output_compression=100,
        delivery="url",
        input_image=None if strength is None else InputImage(picture, strength),
    )


def ended(**facts: object) -> Observed:
    observed = Observed("POST", is_complete=True, status=200)
    for name, value in facts.items():
        setattr(observed, name, value)
    return observed


@pytest.mark.parametrize(
    ("size", "named"),
    [
        (Size(64, 64), "small"),
        (Size(512, 512), "small"),
        (Size(513, 512), "medium"),
        (Size(1024, 1024), "medium"),
        (Size(1025, 1024), "large"),
        (Size(2048, 2048), "large"),
    ],
)
def test_classes_end_at_512_and_1024(size: Size, named: str) -> None:
    assert size_class(size) == named


@pytest.mark.parametrize(
    ("strength", "num_run"), [(None, 10), (1.0, 10), (0.6, 6), (0.01, 1), (0.0, 0)]
)
def test_an_edit_runs_a_part_of_the_steps(strength: float | None, num_run: int) -> None:
    assert pixel_steps(params(strength=strength)) == 128 * 64 * num_run


def test_pixel_steps_are_of_the_pictures_that_were_made(readings: Readings) -> None:
    metrics = RequestMetrics()
    metrics.ended(ended(params=params(), num_images=2))
    assert readings.of(PIXEL_STEPS) == {(): 2 * 128 * 64 * 10}
    metrics.ended(ended(params=params(), num_images=0, error=OverloadedError()))
    metrics.ended(ended(params=params(strength=0.0), num_images=1))
    metrics.ended(ended(params=params(strength=0.5), num_images=1))
    assert readings.of(PIXEL_STEPS) == {(): 2 * 128 * 64 * 10 + 128 * 64 * 5}


def test_what_is_wrong_with_keys_is_counted(readings: Readings) -> None:
    metrics = RequestMetrics()
    for reason in ("missing", "unknown", "unknown"):
        metrics.ended(ended(status=401, error=AuthenticationError(reason=reason)))
    metrics.ended(ended(status=400, error=RequestError("")))
    metrics.ended(ended())
    assert readings.of(AUTHENTICATION_FAILURES) == {("missing",): 1, ("unknown",): 2}


async def test_a_retry_is_counted_and_noted_with_its_request(readings: Readings) -> None:
    metrics, observed, other = RequestMetrics(), Observed("POST"), Observed("POST")

    async def picture() -> None:
        await asyncio.sleep(0)
        metrics.retried()

    with observing(observed):
        async with asyncio.TaskGroup() as pictures:
            pictures.create_task(picture())
            pictures.create_task(picture())
    with observing(other):
        await asyncio.sleep(0)
    metrics.retried()  # of nobody: it does no harm
    assert readings.of(RETRIES) == {(): 3}
    assert (observed.num_retries, other.num_retries) == (2, 0)
