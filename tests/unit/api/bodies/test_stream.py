"""Bodies are counted as they arrive, whatever was declared."""

from collections.abc import Iterator

import pytest

from serve_app.api.bodies.stream import media_type_of, stream_body, unsupported
from serve_app.errors import InvalidRequestError, PayloadTooLargeError
from tests.unit.api.raw_requests import in_pieces, request_of


@pytest.mark.parametrize("size", [1, 7, 100])
async def test_a_body_is_passed_on_as_it_comes(size: int) -> None:
    request = request_of(in_pieces(bytes(range(100)), size))
    assert b"".join([chunk async for chunk in stream_body(request, 100)]) == bytes(range(100))


@pytest.mark.parametrize("declared", ["101", "9" * 5000])
async def test_a_declared_length_is_enough_to_be_refused(declared: str) -> None:
    def never() -> Iterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    with pytest.raises(PayloadTooLargeError):
        await anext(stream_body(request_of(never(), content_length=declared), 100))


@pytest.mark.parametrize("declared", ["100", "1", "", "-5", "ten", "\xb2"])
async def test_an_undeclared_length_is_counted(declared: str) -> None:
    num_sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal num_sent
        while True:
            num_sent += 1
            yield bytes(10)

    request = request_of(endless(), content_length=declared)
    with pytest.raises(PayloadTooLargeError, match="larger than 100 bytes"):
        [chunk async for chunk in stream_body(request, 100)]
    assert num_sent == 11


async def test_a_client_that_leaves() -> None:
    request = request_of([b"half"], is_cut_off=True)
    with pytest.raises(InvalidRequestError, match="ended early"):
        [chunk async for chunk in stream_body(request, 100)]


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/json", "application/json"),
        (" Multipart/Form-Data ; boundary=A", "multipart/form-data"),
        ("", ""),
        (";", ""),
    ],
)
def test_the_media_type_is_without_parameters(content_type: str, expected: str) -> None:
    assert media_type_of(request_of([], content_type=content_type)) == expected


def test_an_unsupported_type_is_named() -> None:
    assert unsupported("text/xml").message == "Unsupported content type 'text/xml'."
    assert len(unsupported("x" * 5000).message) < 200
