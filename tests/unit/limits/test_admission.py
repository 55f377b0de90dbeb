"""Limits in HTTP's words: OpenAI's headers, whole seconds, sentences that say which limit."""

import pytest

from serve_app.errors import InvalidRequestError
from serve_app.limits.admission import (
    Admission,
    NoLimits,
    check_possible,
    duration,
    limit_headers,
    rate_limited,
)
from serve_app.limits.clock import NS_PER_S
from serve_app.limits.meters import Meter
from serve_app.limits.protocol import Level, Refusal
from tests.unit.limits.simulation import limits

LEVELS = {
    Meter.REQUESTS: Level(60, 12, 90 * NS_PER_S),
    Meter.IMAGES: Level(8, 0, NS_PER_S // 2),
    Meter.CONCURRENT_REQUESTS: Level(2, 1, None),
}


@pytest.mark.parametrize(
    ("span_ns", "text"),
    [
        (0, "0s"),
        (1, "1ms"),
        (120_000_000, "120ms"),
        (999_000_001, "1s"),
        (1_500_000_000, "1.5s"),
        (59_999_000_000, "59.999s"),
        (60 * NS_PER_S, "1m0s"),
        (360 * NS_PER_S, "6m0s"),
        (60_250_000_000, "1m0.25s"),
    ],
)
def test_spans_are_written_as_openai_writes_them(span_ns: int, text: str) -> None:
    assert duration(span_ns) == text


def test_every_limit_that_there_is_has_its_headers() -> None:
    assert limit_headers(LEVELS) == {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "12",
        "x-ratelimit-reset-requests": "1m30s",
        "x-ratelimit-limit-images": "8",
        "x-ratelimit-remaining-images": "0",
        "x-ratelimit-reset-images": "500ms",
        "x-ratelimit-limit-concurrent-requests": "2",
        "x-ratelimit-remaining-concurrent-requests": "1",
    }
    assert limit_headers({}) == {}


@pytest.mark.parametrize(
    ("meter", "sentence"),
    [
        (Meter.REQUESTS, "Rate limit exceeded. Limit: 60 requests per minute."),
        (Meter.IMAGES, "Rate limit exceeded. Limit: 8 images per minute."),
        (Meter.CONCURRENT_REQUESTS, "Rate limit exceeded. Limit: 2 requests at a time."),
    ],
)
def test_a_refusal_says_which_limit_it_was(meter: Meter, sentence: str) -> None:
    error = rate_limited(Refusal(meter, 1, NS_PER_S), LEVELS)
    assert error.message == sentence
    assert error.headers == {"Retry-After": "1"} | limit_headers(LEVELS)


@pytest.mark.parametrize(
    ("retry_after_ns", "seconds"),
    [(1, "1"), (NS_PER_S, "1"), (NS_PER_S + 1, "2"), (59_500_000_000, "60"), (61 * NS_PER_S, "60")],
)
def test_retry_after_is_whole_seconds_from_1_to_60(retry_after_ns: int, seconds: str) -> None:
    error = rate_limited(Refusal(Meter.IMAGES, 1, retry_after_ns), LEVELS)
    assert error.headers["Retry-After"] == seconds


def test_more_images_than_a_minute_has_are_a_wrong_value() -> None:
    check_possible(limits(images=4), 4)
    check_possible(limits(requests=1), 10)
    with pytest.raises(InvalidRequestError) as refused:
        check_possible(limits(images=4), 5)
    assert refused.value.param == "n"
    assert refused.value.message == (
        "Invalid value for 'n': 5. Must be at most 4: one caller may make 4 images per minute."
    )


async def test_a_place_is_given_back_once() -> None:
    released: list[str] = []

    async def release() -> None:
        released.append("slot")

    admission = Admission({}, release)
    await admission.release()
    await admission.release()
    assert released == ["slot"]


async def test_without_limits_everybody_is_admitted_and_hears_of_none() -> None:
    NoLimits().check(None, 10**6)
    async with NoLimits().admit(None, 10**6) as admission:
        assert admission.headers == {}
        await admission.release()
