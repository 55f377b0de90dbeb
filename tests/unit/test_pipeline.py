"""A pipeline tells of each picture when it is written, not when its request is answered."""

import asyncio
from typing import Any, cast

from serve_app.deadline import Deadline
from serve_app.messages import GenerationParams, Size, WriteParams
from serve_app.pipeline import Pipeline, StageHandles

NUM_IMAGES = 8


def params() -> GenerationParams:
    return GenerationParams(
        request_id="req_1",
        prompt="a red circle",
        num_images=NUM_IMAGES,
        seed=0,
        canvas=Size(64, 64),
        output=Size(64, 64),
        num_inference_steps=4,
        guidance_scale=4.5,
        output_format="png",
        output_compression=100,
        delivery="url",
    )


class Method:
    """Where a handle's method would be; answers what each call's seed says, when it is let."""

    def __init__(self, last_may_be_written: asyncio.Event | None = None) -> None:
        self._last_may_be_written = last_may_be_written

    def remote(self, *args: object) -> "asyncio.Future[object]":
        return asyncio.ensure_future(self._answer(args))

    async def _answer(self, args: tuple[object, ...]) -> object:
        seeds = [each.seed for each in args if isinstance(each, WriteParams)]
        if self._last_may_be_written is not None and seeds == [NUM_IMAGES - 1]:
            await self._last_may_be_written.wait()
        return seeds


class Stage:
    """Where a deployment's handle would be."""

    def __init__(self, method: Method) -> None:
        self._method = method

    def __getattr__(self, name: str) -> Method:
        return self._method


async def test_each_picture_is_told_of_when_it_is_written() -> None:
    last_may_be_written, num_told = asyncio.Event(), 0

    def told() -> None:
        nonlocal num_told
        num_told += 1

    stage, writer = Stage(Method()), Stage(Method(last_may_be_written))
    stages = StageHandles(*cast(Any, (stage, stage, stage, writer)))
    asked = Pipeline(stages).generate(params(), Deadline.in_seconds(60), told)
    answer = asyncio.ensure_future(asked)
    async with asyncio.timeout(30):
        while num_told < NUM_IMAGES - 1:
            await asyncio.sleep(0.001)
    assert not answer.done()
    last_may_be_written.set()
    result = await answer
    assert num_told == NUM_IMAGES
    assert list(cast(Any, result.images)) == [[seed] for seed in range(NUM_IMAGES)]
