"""data: URIs are read strictly, and not past their limit."""

import base64
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serve_app.api.input_images import data_uris
from serve_app.api.input_images.data_uris import decode_data_uri, is_data_uri
from serve_app.errors import InvalidRequestError, PayloadTooLargeError

MAX_BYTES = 1000
GOOD = "data:image/png;base64,"


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_uris, "PIECE_CHARACTERS", 8)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=MAX_BYTES))
def test_what_was_encoded_is_decoded(content: bytes) -> None:
    assert decode_data_uri("image", GOOD + encoded(content), MAX_BYTES) == content


@pytest.mark.parametrize(
    "header",
    [
        "data:image/jpeg;base64,",
        "DATA:IMAGE/WebP;BASE64,",
        "data:image/svg+xml;base64,",
        "data:image/png;charset=utf-8;base64,",
        "data:image/png;name=a.png;charset=utf-8;base64,",
        "data:application/octet-stream;base64,",
    ],
)
def test_headers_that_are_read(header: str) -> None:
    assert is_data_uri(header)
    assert decode_data_uri("image", header + encoded(b"picture"), MAX_BYTES) == b"picture"


@pytest.mark.parametrize(
    "uri",
    [
        "data:",
        "data:,hello",
        "data:image/png,raw",
        "data:image/png;base64",
        "data:;base64,AAAA",
        "data:text/html;base64,AAAA",
        "data:image/;base64,AAAA",
        "data: image/png;base64,AAAA",
        "data:image/png; base64,AAAA",
        "data:image/png;base64;base64,AAAA",
        "data:image/" + "a" * 5_000_000,
        "data:image/png" + ";a=b" * 1_000_000,
        "data:im\u0131ge/png;base64,AAAA",
    ],
)
def test_headers_that_are_not(uri: str) -> None:
    started_at = time.process_time()
    with pytest.raises(InvalidRequestError, match="must begin like") as refused:
        decode_data_uri("mask", uri, 10**9)
    assert time.process_time() - started_at < 0.1
    assert refused.value.param == "mask"
    assert "'mask'" in refused.value.message


@pytest.mark.parametrize(
    "text",
    [
        "AAA",
        "A",
        "AA=A",
        "AA==AA==",
        "AAAAAA==AAAA",
        "AA AA",
        "AAAA\n",
        " AAAA",
        "AA%3D%3D",
        "-_-_",
        "AAé=",
    ],
)
def test_other_base64_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequestError, match="not base64"):
        decode_data_uri("image", GOOD + text, MAX_BYTES)


@pytest.mark.parametrize("num_bytes", [MAX_BYTES + 1, MAX_BYTES + 2, 10 * MAX_BYTES])
def test_the_limit_is_one_of_bytes(num_bytes: int) -> None:
    with pytest.raises(PayloadTooLargeError) as refused:
        decode_data_uri("image", GOOD + encoded(bytes(num_bytes)), MAX_BYTES)
    assert refused.value.param == "image"


def test_pieces_have_whole_groups_of_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    content = bytes(range(256)) * 8192
    assert len(encoded(content)) > data_uris.PIECE_CHARACTERS
    assert decode_data_uri("image", GOOD + encoded(content), len(content)) == content


def test_too_long_a_text_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(PayloadTooLargeError):
        decode_data_uri("image", GOOD + "?" * 10 * MAX_BYTES, MAX_BYTES)


@pytest.mark.parametrize("url", ["http://data:80/", "datum:", "", "file:data:", " data:"])
def test_other_urls_are_none(url: str) -> None:
    assert not is_data_uri(url)
