"""Forms become what a JSON body would be."""

from contextlib import suppress
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.api.bodies.form_body import form_object, read_form_body
from serve_app.api.bodies.multipart import Part
from serve_app.api.bodies.uploaded_file import UploadedFile
from serve_app.errors import InvalidRequestError, PayloadTooLargeError
from tests.unit.api.raw_requests import in_pieces, request_of

FILE = ("a.png", b"\x89PNG")
UPLOADED = UploadedFile(*FILE)

Sent = list[tuple[str, Any]]


def form(sent: Sent) -> dict[str, Any]:
    """Return the fields of a form; a value is text, or a file's name and content."""
    return form_object(
        Part(name, *value) if isinstance(value, tuple) else Part(name, None, value.encode())
        for name, value in sent
    )


def refused(sent: Sent) -> InvalidRequestError:
    with pytest.raises(InvalidRequestError) as refusal:
        form(sent)
    assert len(refusal.value.message) < 300
    return refusal.value


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ([], {}),
        ([("prompt", "a fox"), ("n", "2")], {"prompt": "a fox", "n": "2"}),
        ([("size", ""), ("n", "null"), ("seed", "Null")], {"seed": "Null"}),
        ([("prompt", "")], {"prompt": ""}),
        ([("prompt", "null")], {"prompt": "null"}),
        ([("n", ""), ("n", "2"), ("n", "null")], {"n": "2"}),
        (
            [("image_size[width]", "5"), ("image_size[height]", "6")],
            {"image_size": {"width": "5", "height": "6"}},
        ),
        ([("image_size[width]", ""), ("image_size[height]", "6")], {"image_size": {"height": "6"}}),
        ([("image_size[width]", "")], {}),
        ([("tags[]", "a"), ("tags[]", "b")], {"tags": ["a", "b"]}),
        ([("tags[]", "a")], {"tags": ["a"]}),
        ([("images[][image_url]", "u")], {"images": [{"image_url": "u"}]}),
        ([("a[b][c]", "1"), ("a[b][d]", "2")], {"a": {"b": {"c": "1", "d": "2"}}}),
        ([("a[", "1"), ("b]", "2"), ("[c]", "3"), ("d[e]f", "4")], None),
        ([("a[b][c][d][e][f]", "1")], None),
        ([("__class__[__init__]", "1")], {"__class__": {"__init__": "1"}}),
    ],
)
def test_fields_become_objects_and_lists(sent: Sent, expected: dict[str, Any] | None) -> None:
    assert form(sent) == (dict(sent) if expected is None else expected)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ([("image", FILE)], {"image": [UPLOADED]}),
        ([("image[]", FILE)], {"image": [UPLOADED]}),
        ([("image", FILE), ("image", FILE)], {"image": [UPLOADED, UPLOADED]}),
        ([("image[]", FILE), ("image[]", FILE)], {"image": [UPLOADED, UPLOADED]}),
        ([("image", FILE), ("image[]", FILE)], {"image": [UPLOADED, UPLOADED]}),
        ([("image", "http://a/b"), ("image", "")], {"image": ["http://a/b"]}),
        ([("image", ("", b""))], {}),
        ([("image", ("", b"\x89PNG"))], {"image": [UploadedFile("", b"\x89PNG")]}),
        ([("image", ("a.png", b""))], {"image": [UploadedFile("a.png", b"")]}),
        ([("mask", FILE)], {"mask": UPLOADED}),
        ([("prompt", FILE)], {"prompt": UPLOADED}),
    ],
)
def test_files_keep_their_bytes(sent: Sent, expected: dict[str, Any]) -> None:
    assert form(sent) == expected


@pytest.mark.parametrize(
    ("sent", "param"),
    [
        ([("n", "1"), ("n", "1")], "n"),
        ([("prompt", "a"), ("prompt", "")], "prompt"),
        ([("mask", FILE), ("mask", FILE)], "mask"),
        ([("mask", FILE), ("mask", "http://a/b")], "mask"),
        ([("size", "1x1"), ("size[width]", "1")], "size"),
        ([("size[width]", "1"), ("size", "1x1")], "size"),
        ([("size[width]", "1"), ("size[width]", "1")], "size"),
        ([("size[]", "1"), ("size[width]", "1")], "size"),
        ([("size[width]", "1"), ("size[]", "1")], "size"),
        ([("n", "1"), ("n[]", "1")], "n"),
        ([("image[a]", FILE), ("image", FILE)], "image"),
    ],
)
def test_a_field_given_twice_is_refused(sent: Sent, param: str) -> None:
    refusal = refused(sent)
    assert refusal.param == param
    assert refusal.message == f"'{param}' is given twice."


@pytest.mark.parametrize("content", [b"\xff", b"se\xf1or", "é".encode("utf-16"), b"\xed\xa0\x80"])
@pytest.mark.parametrize("name", ["prompt", "size[width]", "image"])
def test_text_is_utf_8(name: str, content: bytes) -> None:
    with pytest.raises(InvalidRequestError, match="not UTF-8") as refusal:
        form_object([Part(name, None, content)])
    assert refusal.value.param == name.partition("[")[0]


@given(st.dictionaries(st.text("abcdefg", min_size=1), st.text(min_size=1)))
def test_plain_fields_are_themselves(fields: dict[str, str]) -> None:
    given_fields = {name: text for name, text in fields.items() if text != "null"}
    assert form(list(fields.items())) == given_fields


@given(st.lists(st.tuples(st.text("ab[]", max_size=12), st.text("x", max_size=2))))
def test_any_names_are_an_object_or_a_refusal(sent: Sent) -> None:
    with suppress(InvalidRequestError):
        assert all(form(sent).values())


def encoded(files: Any, data: Any = None) -> tuple[bytes, str]:
    request = httpx.Request("POST", "http://krea.test", files=files, data=data)
    return request.read(), request.headers["content-type"]


@pytest.mark.parametrize("size", [1, 1000])
async def test_a_clients_form_is_read(size: int) -> None:
    body, content_type = encoded({"image": FILE}, {"prompt": "ein Füchslein, 狐", "n": "2"})
    request = request_of(in_pieces(body, size), content_type=content_type)
    fields = await read_form_body(request, 10_000, 1000)
    assert fields == {"prompt": "ein Füchslein, 狐", "n": "2", "image": [UPLOADED]}


async def test_the_body_and_each_file_have_limits_of_their_own() -> None:
    body, content_type = encoded([("image", ("a", bytes(900))), ("mask", ("b", bytes(900)))])

    async def read(max_body_bytes: int, max_file_bytes: int) -> dict[str, Any]:
        request = request_of(in_pieces(body, 100), content_type=content_type)
        return await read_form_body(request, max_body_bytes, max_file_bytes)

    assert set(await read(len(body), 900)) == {"image", "mask"}
    with pytest.raises(PayloadTooLargeError, match=r"The request body is larger than \d+ bytes"):
        await read(len(body) - 1, 900)
    with pytest.raises(PayloadTooLargeError, match="'image' is larger"):
        await read(len(body), 899)


async def test_a_file_over_its_limit_is_not_read_to_its_end() -> None:
    body, content_type = encoded({"image": ("a", bytes(1_000_000))})
    num_read = 0

    def counted() -> Any:
        nonlocal num_read
        for chunk in in_pieces(body, 1000):
            num_read += 1
            yield chunk

    request = request_of(counted(), content_type=content_type)
    with pytest.raises(PayloadTooLargeError):
        await read_form_body(request, 10**9, 10_000)
    assert num_read < 15
