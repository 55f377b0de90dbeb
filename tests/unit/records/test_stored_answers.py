"""An answer comes out of the database as it went in, and takes less room there."""

import base64
import os

import pytest

from serve_app.records.stored_answers import headers_as_text, headers_of_text, packed, unpacked


@pytest.mark.parametrize("body", [b"", b"{}", os.urandom(10_000), "ä".encode() * 5000])
def test_a_body_survives(body: bytes) -> None:
    assert unpacked(packed(body)) == body


def test_a_picture_in_base64_takes_three_quarters() -> None:
    body = base64.b64encode(os.urandom(300_000))
    assert len(packed(body)) / len(body) == pytest.approx(0.755, abs=0.01)


def test_headers_survive_in_their_order() -> None:
    headers = (("content-type", "application/json"), ("x-lumenfall-model", "ä"), ("a", ""))
    assert headers_of_text(headers_as_text(headers)) == headers
    assert headers_of_text(headers_as_text(())) == ()
