"""Untrusted bytes: every one of them gets a 400 that says why, and soon."""

import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.api.bodies.json_body import parse_json_object
from serve_app.errors import InvalidRequestError
from tests.unit.api.conftest import MakeClient

PATH = "/v1/images/generations"
JSON = {"content-type": "application/json"}
MAX_BODY_BYTES = 1024 * 1024
GOOD = b'{"prompt": "x", "size": "256x256", "n": 1}'

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), json_values))
def test_every_json_object_is_read_as_python_reads_it(body: dict[str, Any]) -> None:
    assert parse_json_object(json.dumps(body).encode()) == body


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_an_object_or_a_refusal(content: bytes) -> None:
    try:
        parsed = parse_json_object(content)
    except InvalidRequestError:
        # `json` itself reads more: the strictness has tests of its own.
        return
    assert parsed == json.loads(content)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not valid JSON"),
        (b'{"prompt": "x"', "line 1, column 15"),
        (b"[]", "must be an object"),
        (b'"prompt"', "must be an object"),
        (b"null", "must be an object"),
        (b'{"prompt": "x", "cfg_scale": NaN}', "NaN"),
        (b'{"prompt": "x", "deep": [{"a": -Infinity}]}', "Infinity"),
        (b'{"prompt": "x", "cfg_scale": 1e999}', "too large"),
        (b'{"prompt": "x", "n": 1, "n": 2}', "'n' is given twice"),
        (b'{"prompt": "\xff"}', "not UTF-8"),
        ('{"prompt": "x"}'.encode("utf-16"), "not UTF-8"),
        (b'{"prompt": "x", "a": ' + b"[" * 90_000, "nested too deeply"),
        (b'{"a":' * 90_000 + b"1" + b"}" * 90_000, "nested too deeply"),
        (b'{"a": [' + b"1," * 100_000 + b"1]}", "more than 100,000 values"),
        (b"[" * 10_000_000, "more than 100,000 values"),
        (b'{"prompt": "half \\ud83d"}', "surrogate"),
        (b'{"prompt": "x", "half \\udc00": 1}', "surrogate"),
    ],
)
async def test_what_is_not_one_json_object(
    client: httpx.AsyncClient, content: bytes, words: str
) -> None:
    started_at = time.perf_counter()
    response = await client.post(PATH, content=content, headers=JSON)
    assert time.perf_counter() - started_at < 1
    assert response.status_code == 400
    error = response.json()["error"]
    assert error["code"] == "INVALID_REQUEST"
    assert words in error["message"]


@pytest.mark.parametrize("sign", ["", "-"])
async def test_endless_integers_name_their_field(client: httpx.AsyncClient, sign: str) -> None:
    content = f'{{"prompt": "x", "seed": {sign}{"9" * 5000}}}'
    response = await client.post(PATH, content=content, headers=JSON)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "seed"
    assert len(response.json()["error"]["message"]) < 300


async def test_nul_in_a_prompt_is_refused(client: httpx.AsyncClient) -> None:
    response = await client.post(PATH, json={"prompt": "a\0b"})
    assert (response.status_code, response.json()["error"]["param"]) == (400, "prompt")


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON; charset=utf-8",
        "application/vnd.krea+json",
        "application/x-www-form-urlencoded",
        "",
    ],
)
async def test_content_types_that_are_read(client: httpx.AsyncClient, content_type: str) -> None:
    headers = {"content-type": content_type} if content_type else {}
    response = await client.post(PATH, content=GOOD, headers=headers)
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("content_type", "content"),
    [
        ("text/xml", GOOD),
        ("text/plain", GOOD),
        ("multipart/form-data; boundary=x", GOOD),
        ("application/x-www-form-urlencoded", b"prompt=x"),
        ("", b""),
    ],
)
async def test_content_types_that_are_not(
    client: httpx.AsyncClient, content_type: str, content: bytes
) -> None:
    headers = {"content-type": content_type} if content_type else {}
    response = await client.post(PATH, content=content, headers=headers)
    assert response.status_code == 415
    assert response.json()["error"]["code"] == "UNSUPPORTED_MEDIA_TYPE"


async def test_a_byte_order_mark_is_harmless(client: httpx.AsyncClient) -> None:
    response = await client.post(PATH, content=b"\xef\xbb\xbf" + GOOD, headers=JSON)
    assert response.status_code == 200


@pytest.fixture
async def limited_client(make_client: MakeClient) -> AsyncIterator[httpx.AsyncClient]:
    async with make_client(max_body_bytes=MAX_BODY_BYTES) as client:
        yield client


async def test_a_body_over_its_limit_is_refused_while_it_is_read(
    limited_client: httpx.AsyncClient,
) -> None:
    num_sent = 0

    async def endless() -> Any:
        nonlocal num_sent
        for _ in range(10_000):
            num_sent += 65536
            yield b" " * 65536

    response = await limited_client.post(PATH, content=endless(), headers=JSON)
    assert response.status_code == 413
    assert response.json()["error"]["code"] == "PAYLOAD_TOO_LARGE"
    assert num_sent <= MAX_BODY_BYTES + 65536


async def test_a_declared_length_over_the_limit_is_refused_unread(
    limited_client: httpx.AsyncClient,
) -> None:
    async def never() -> Any:
        raise AssertionError("the body was read")
        yield b""

    headers = JSON | {"content-length": str(MAX_BODY_BYTES + 1)}
    response = await limited_client.post(PATH, content=never(), headers=headers)
    assert response.status_code == 413


async def test_the_limit_itself_is_allowed(limited_client: httpx.AsyncClient) -> None:
    content = GOOD + b" " * (MAX_BODY_BYTES - len(GOOD))
    assert (await limited_client.post(PATH, content=content, headers=JSON)).status_code == 200
    response = await limited_client.post(PATH, content=content + b" ", headers=JSON)
    assert response.status_code == 413
