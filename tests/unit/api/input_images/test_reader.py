"""One picture, however a client writes it, and a clear answer to everything else."""

import asyncio
import base64
import threading
import time
from typing import Any

import numpy as np
import pytest
from PIL import Image

from serve_app.api.bodies.uploaded_file import UploadedFile
from serve_app.api.input_images.field import ImageField, ImageSource, ImageUrl
from serve_app.api.input_images.public_transport import PublicTransport
from serve_app.api.input_images.reader import ImageReader
from serve_app.api.input_images.remote import RemoteImages
from serve_app.api.parameters import INPUT_IMAGES
from serve_app.api.request.fields import read_fields
from serve_app.errors import InvalidRequestError, PayloadTooLargeError
from serve_app.messages import Size
from tests.unit.api.image_samples import noise, saved
from tests.unit.api.web_server import ok, serving

MAX_BYTES = 100_000
IMAGE, MASK = ImageField("image"), ImageField("mask")

PICTURE = saved(noise(), "PNG")
UPLOADED = UploadedFile("a.png", PICTURE)
DATA_URI = "data:image/png;base64," + base64.b64encode(PICTURE).decode()
URL = "https://pictures.example/a.png"


def refusal(kind: ImageField, value: object) -> str:
    """Return why a value is refused, which is in the name of the field."""
    with pytest.raises(InvalidRequestError) as refused:
        kind.read("image_url", value)
    assert refused.value.param == kind.param
    assert kind.param in refused.value.message
    assert len(refused.value.message) < 300
    return refused.value.message


def reader(*, allows_urls: bool = True) -> ImageReader:
    """Return what reads pictures, also from loopback."""
    remote = RemoteImages(MAX_BYTES, 20, lambda: PublicTransport(lambda address: True))
    return ImageReader(MAX_BYTES, remote.fetch if allows_urls else None)


@pytest.mark.parametrize("kind", [IMAGE, MASK])
@pytest.mark.parametrize(
    ("value", "source"),
    [
        (UPLOADED, UPLOADED),
        ([UPLOADED], UPLOADED),
        (URL, ImageUrl(URL)),
        ("HTTP://a/b", ImageUrl("HTTP://a/b")),
        (DATA_URI, ImageUrl(DATA_URI)),
        ([DATA_URI], ImageUrl(DATA_URI)),
        ({"image_url": URL}, ImageUrl(URL)),
        ([{"image_url": URL}], ImageUrl(URL)),
        ([{"image_url": URL, "file_id": None, "detail": "auto"}], ImageUrl(URL)),
        ([{"image_url": UPLOADED}], UPLOADED),
        ([None, URL], ImageUrl(URL)),
    ],
)
def test_ways_to_send_one_picture(kind: ImageField, value: object, source: ImageSource) -> None:
    assert kind.read("image", value) == source


@pytest.mark.parametrize("value", [[], [None]])
def test_a_list_without_a_picture_is_not_given(value: object) -> None:
    assert IMAGE.read("images", value) is None


@pytest.mark.parametrize("kind", [IMAGE, MASK])
@pytest.mark.parametrize(
    "value",
    [
        "",
        "hello",
        "a.png",
        "file:///etc/passwd",
        "ftp://example.com/a.png",
        "javascript:alert(1)",
        " http://a/b",
        "//a/b",
        "http:a",
        base64.b64encode(PICTURE).decode(),
        "x" * 10_000_000,
        "\0",
    ],
)
def test_other_text_is_refused(kind: ImageField, value: str) -> None:
    started_at = time.process_time()
    assert "Must be a file, an http or https URL, or a data URI." in refusal(kind, value)
    assert time.process_time() - started_at < 0.1


@pytest.mark.parametrize(
    "value",
    [1, 1.5, True, {}, {"url": URL}, {"image_url": None}, {"image_url": {"url": URL}}, [[URL]]],
)
def test_other_types_are_refused(value: object) -> None:
    assert "Invalid type for 'image'" in refusal(IMAGE, value)
    assert "Invalid type for 'image'" in refusal(IMAGE, [value])


@pytest.mark.parametrize("value", [{"file_id": "file-abc"}, {"file_id": "f", "image_url": URL}])
def test_there_are_no_file_ids(value: object) -> None:
    assert "file_id" in refusal(IMAGE, [value])
    assert "file_id" in refusal(MASK, value)


@pytest.mark.parametrize("value", [[UPLOADED, UPLOADED], [URL, DATA_URI], [URL] * 16])
def test_several_pictures_are_refused(value: object) -> None:
    beginning = "Model 'flux.1-krea-dev' does not support multiple input images"
    assert refusal(IMAGE, value).startswith(beginning)
    assert "'mask'" in refusal(MASK, value)


@pytest.mark.parametrize(
    ("body", "conflicts"),
    [
        ({"image": URL, "image_url": URL}, False),
        ({"image": URL, "images": [{"image_url": URL}]}, False),
        ({"image": URL, "image_url": URL + "x"}, True),
        ({"image": [UPLOADED], "image_url": URL}, True),
        ({"image": URL, "images": []}, False),
        ({"images": [None], "image_url": URL}, False),
    ],
)
def test_two_names_of_one_picture(body: dict[str, Any], conflicts: bool) -> None:
    if not conflicts:
        assert read_fields(body, INPUT_IMAGES).values["image"] == ImageUrl(URL)
        return
    with pytest.raises(InvalidRequestError) as refused:
        read_fields(body, INPUT_IMAGES)
    assert refused.value.param == "image"
    assert "does not support multiple input images" in refused.value.message


@pytest.mark.parametrize("source", [UPLOADED, ImageUrl(DATA_URI)])
async def test_pictures_become_pixels(source: ImageSource) -> None:
    assert np.array_equal(await reader().image(source), np.asarray(noise()))


async def test_a_picture_is_fetched() -> None:
    async with serving({"/a.png": ok(PICTURE)}) as web:
        source = ImageUrl(f"http://127.0.0.1:{web.port}/a.png")
        assert np.array_equal(await reader().image(source), np.asarray(noise()))


async def test_a_mask_is_fetched_and_has_the_pictures_size() -> None:
    white = saved(Image.new("L", (48, 32), 255), "PNG")
    async with serving({"/mask.png": ok(white)}) as web:
        source = ImageUrl(f"http://127.0.0.1:{web.port}/mask.png")
        assert (await reader().mask(source, Size(48, 32)) == 255).all()
        with pytest.raises(InvalidRequestError, match="48x33") as refused:
            await reader().mask(source, Size(48, 33))
    assert refused.value.param == "mask"


async def test_the_operator_can_forbid_urls() -> None:
    async with serving({"/a.png": ok(PICTURE)}) as web:
        source = ImageUrl(f"http://127.0.0.1:{web.port}/a.png")
        with pytest.raises(InvalidRequestError, match="cannot be a URL on this server") as refused:
            await reader(allows_urls=False).image(source)
    assert web.requests == []
    assert refused.value.param == "image"
    assert (await reader(allows_urls=False).image(ImageUrl(DATA_URI))).shape == (32, 48, 3)


@pytest.mark.parametrize(
    "source",
    [
        UploadedFile("a.png", b""),
        UploadedFile("a.png", b"hello"),
        ImageUrl("data:image/png;base64,aGVsbG8="),
    ],
)
async def test_what_is_no_picture_is_refused_in_the_fields_name(source: ImageSource) -> None:
    with pytest.raises(InvalidRequestError, match="Invalid image file provided for 'image'"):
        await reader().image(source)
    with pytest.raises(InvalidRequestError, match="Invalid image file provided for 'mask'"):
        await reader().mask(source, Size(1, 1))


async def test_a_data_uri_has_the_limit_of_a_file() -> None:
    source = ImageUrl("data:image/png;base64," + base64.b64encode(bytes(MAX_BYTES + 1)).decode())
    with pytest.raises(PayloadTooLargeError, match=r"'mask' is larger than 0\.1 MB"):
        await reader().mask(source, Size(1, 1))


async def test_decoding_does_not_hold_up_other_requests() -> None:
    large = UploadedFile("a.png", saved(Image.new("RGB", (2000, 2000)), "PNG"))
    decoding = asyncio.create_task(reader().image(large))
    num_turns = 0
    while not decoding.done():
        await asyncio.sleep(0.001)
        num_turns += 1
    assert num_turns > 10


async def test_pictures_are_decoded_one_at_a_time() -> None:
    sources = [UploadedFile(str(number), PICTURE) for number in range(8)]
    await asyncio.gather(*(reader().image(source) for source in sources))
    decoders = [each for each in threading.enumerate() if each.name.startswith("image-decoder")]
    assert len(decoders) == 1
