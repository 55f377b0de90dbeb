"""`Server-Timing` says what the picture took that took longest, in W3C's grammar."""

import re

import httpx
import pytest

from serve_app.api.answers.timing import longest, server_timing
from serve_app.messages import PromptFacts, Size, WrittenImage
from serve_app.spent import NO_TIME, Spent

PATH = "/v1/images/generations"
BODY = {"prompt": "x", "size": "64x64"}

TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
HEADER = re.compile(rf"{TOKEN};dur=\d+(\.\d+)?(, {TOKEN};dur=\d+(\.\d+)?)*")


def image(spent: Spent) -> WrittenImage:
    facts = PromptFacts(num_tokens=1, is_truncated=False)
    return WrittenImage(Size(8, 8), "png", b"", None, 0, facts, spent=spent)


async def test_an_answer_says_what_its_picture_took(client: httpx.AsyncClient) -> None:
    timing = (await client.post(PATH, json=BODY)).headers["server-timing"]
    assert timing == "queue;dur=1.5, encode-image;dur=20, denoise;dur=1250"
    assert HEADER.fullmatch(timing)


@pytest.mark.parametrize("body", [{"stream": True}, {"n": 11}])
async def test_streams_and_errors_say_nothing(
    client: httpx.AsyncClient, body: dict[str, object]
) -> None:
    assert "server-timing" not in (await client.post(PATH, json=BODY | body)).headers


def test_of_several_pictures_the_slowest_counts() -> None:
    slow, quick = Spent(queue_s=3, denoise_s=1), Spent(queue_s=0, denoise_s=2)
    assert longest([image(quick), image(slow)]) == slow


def test_long_times_are_not_rounded_to_six_digits() -> None:
    assert server_timing(Spent(denoise_s=1234.5678)) == "denoise;dur=1234567.8"
    assert server_timing(NO_TIME) == ""
