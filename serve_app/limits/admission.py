"""Whether a request may run, in HTTP's words, without knowing HTTP."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Protocol

from serve_app.errors import InvalidRequestError, RateLimitedError
from serve_app.limits.clock import NS_PER_S
from serve_app.limits.meters import Amounts, Meter
from serve_app.limits.protocol import Level, Refusal

NS_PER_MS = 10**6
MAX_RETRY_AFTER_S = 60

UNITS = {
    Meter.REQUESTS: "requests per minute",
    Meter.IMAGES: "images per minute",
    Meter.CONCURRENT_REQUESTS: "requests at a time",
}


class Admission:
    """A request that may run.

    Attributes:
        headers: For its answer: `x-ratelimit-…`.
    """

    def __init__(self, headers: Mapping[str, str], release: Callable[[], Awaitable[None]]) -> None:
        self.headers = headers
        self._release = release
        self._is_released = False

    async def release(self) -> None:
        """Count the request as running no longer; a second time does nothing.

        To be called before the client has the last byte: it may send its next request at once.
        """
        if not self._is_released:
            self._is_released = True
            await self._release()


class Gatekeeper(Protocol):
    """Lets requests in; of each the key's id (None: anonymous) and the number of images count.

    Attributes:
        num_decided_alone: Requests that no Limiter was there to decide on.
    """

    num_decided_alone: int

    def check(self, key_id: str | None, num_images: int) -> None:
        """Refuse what is known already to be too much, before anything is spent on it.

        Raises:
            RateLimitedError: The caller has used up a limit.
            InvalidRequestError: No minute has as many images.
        """

    def admit(self, key_id: str | None, num_images: int) -> AbstractAsyncContextManager[Admission]:
        """Hold a request's place among those that run, for the length of the block.

        Raises:
            RateLimitedError: The caller has used up a limit.
            InvalidRequestError: No minute has as many images.
        """


class NoLimits:
    """Lets every request in."""

    num_decided_alone = 0

    def check(self, key_id: str | None, num_images: int) -> None:
        """Refuse nothing."""

    def admit(self, key_id: str | None, num_images: int) -> AbstractAsyncContextManager[Admission]:
        """Admit a request."""
        return nullcontext(Admission({}, _nothing))


def check_possible(limits: Amounts, num_images: int) -> None:
    """Raise where waiting cannot help, because a whole minute's images are fewer."""
    limit = limits.get(Meter.IMAGES)
    if limit is not None and num_images > limit:
        raise InvalidRequestError(
            f"Invalid value for 'n': {num_images}. Must be at most {limit}: one caller may make"
            f" {limit} {UNITS[Meter.IMAGES]}.",
            "n",
        )


def limit_headers(levels: Mapping[Meter, Level]) -> dict[str, str]:
    """Return how a caller's limits stand, in OpenAI's headers."""
    headers = {}
    for meter, level in levels.items():
        headers[f"x-ratelimit-limit-{meter}"] = str(level.limit)
        headers[f"x-ratelimit-remaining-{meter}"] = str(level.free)
        if level.full_in_ns is not None:
            headers[f"x-ratelimit-reset-{meter}"] = duration(level.full_in_ns)
    return headers


def rate_limited(refusal: Refusal, levels: Mapping[Meter, Level]) -> RateLimitedError:
    """Return the error of a refused request."""
    limit = levels[refusal.meter].limit
    retry_after_s = -(-refusal.retry_after_ns // NS_PER_S)
    return RateLimitedError(
        f"Rate limit exceeded. Limit: {limit} {UNITS[refusal.meter]}.",
        min(max(retry_after_s, 1), MAX_RETRY_AFTER_S),
        limit_headers(levels),
        refusal.meter,
    )


def duration(span_ns: int) -> str:
    """Return a span as OpenAI writes it: `0s`, `120ms`, `1.5s`, `6m0s`; never too short."""
    milliseconds = -(-span_ns // NS_PER_MS)
    if 0 < milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    seconds = f"{rest / 1000:g}s"
    return f"{minutes}m{seconds}" if minutes else seconds


async def _nothing() -> None:
    pass
