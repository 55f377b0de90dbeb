"""OpenAI's client for Python, unchanged: pictures from pictures."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest

from tests.unit.api.clients.pictures import HEIGHT, WIDTH, mask, only_picture, picture
from tests.unit.api.drawing import Drawing

PROMPT = "a green square"


# At strength 0 the answer is the picture that was sent, if it has arrived as it was.
async def edited(sdk: openai.AsyncOpenAI, image: Any, **options: Any) -> np.ndarray:
    answer = await sdk.images.edit(
        image=image,
        prompt=PROMPT,
        response_format="b64_json",
        extra_body={"strength": 0},
        **options,
    )
    return only_picture(answer)


@pytest.mark.parametrize(
    "given",
    [
        lambda path: path,
        lambda path: path.open("rb"),
        lambda path: path.read_bytes(),
        lambda path: io.BytesIO(path.read_bytes()),
        lambda path: ("photo.jpg", path.read_bytes(), "image/jpeg"),
        lambda path: [path.read_bytes()],
        lambda path: [path],
    ],
    ids=["path", "file", "bytes", "stream", "misnamed", "list of bytes", "list of paths"],
)
async def test_a_picture_is_sent(
    sdk: openai.AsyncOpenAI, pictures: Path, given: Callable[[Path], Any]
) -> None:
    image = given(pictures / "image.png")
    try:
        assert np.array_equal(await edited(sdk, image), picture())
    finally:
        if isinstance(image, io.IOBase):
            image.close()


async def test_a_mask_is_where_it_is_transparent(
    sdk: openai.AsyncOpenAI, drawing: Drawing, pictures: Path
) -> None:
    await edited(sdk, pictures / "image.png", mask=pictures / "mask.png")
    source = drawing.last.input_image
    assert source is not None
    assert source.mask is not None
    assert np.array_equal(source.mask, mask())
    assert (drawing.last.output.width, drawing.last.output.height) == (WIDTH, HEIGHT)


async def test_without_a_mask_all_of_it_is_edited(
    sdk: openai.AsyncOpenAI, drawing: Drawing, pictures: Path
) -> None:
    await edited(sdk, pictures / "image.png")
    assert drawing.last.input_image is not None
    assert drawing.last.input_image.mask is None


async def test_form_fields_arrive_as_what_they_were(
    sdk: openai.AsyncOpenAI, drawing: Drawing, pictures: Path
) -> None:
    answer = await sdk.images.edit(
        image=pictures / "image.png",
        prompt=PROMPT,
        n=2,
        size="128x64",
        output_format="webp",
        output_compression=80,
        response_format="b64_json",
        extra_body={
            "seed": 2**53 + 1,
            "guidance_scale": 0.5,
            "enable_safety_checker": True,
            "image_size": {"width": 128, "height": 64},
        },
    )
    assert answer.output_format == "webp"
    params = drawing.last
    assert (params.num_images, params.seed, params.guidance_scale) == (2, 2**53 + 1, 0.5)
    assert (str(params.output), params.output_compression) == ("128x64", 80)


async def test_two_pictures_are_one_too_many(sdk: openai.AsyncOpenAI, pictures: Path) -> None:
    image = (pictures / "image.png").read_bytes()
    with pytest.raises(openai.BadRequestError, match="multiple input images") as refused:
        await sdk.images.edit(image=[image, image], prompt=PROMPT)
    assert refused.value.param == "image"


async def test_a_mask_that_is_no_picture_is_refused(
    sdk: openai.AsyncOpenAI, pictures: Path
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await edited(sdk, pictures / "image.png", mask=b"no picture")
    assert (refused.value.param, refused.value.code) == ("mask", "INVALID_REQUEST")
