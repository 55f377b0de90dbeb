"""A chain is run again while replicas die, and a stream goes on where it was."""

from collections.abc import AsyncGenerator

import pytest
from ray.exceptions import ActorDiedError

from serve_app import responses as module
from serve_app.errors import InvalidRequestError, ReplicasExhaustedError, StageFailedError
from serve_app.responses import MAX_ATTEMPTS, Responses, backoff_s, retried, retried_stream


@pytest.fixture(autouse=True)
def no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_BACKOFF_S", 0)


class Cancelled:
    """Stands where a response of Serve would: all that a block does with one is to cancel it."""

    def __init__(self) -> None:
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


def hold(response: Cancelled, error: Exception | None) -> None:
    with Responses() as responses:
        responses._responses.append(response)
        if error is not None:
            raise error


class Flaky:
    """A chain whose first `num_deaths` attempts lose a replica after `num_before` items."""

    def __init__(self, num_deaths: int, num_before: int = 0, num_items: int = 3) -> None:
        self.num_deaths, self.num_before, self.num_items = num_deaths, num_before, num_items
        self.attempts: list[int] = []

    async def once(self, responses: Responses, attempt: int) -> str:
        self.attempts.append(attempt)
        if len(self.attempts) <= self.num_deaths:
            raise ActorDiedError()
        return "picture"

    async def items(self, responses: Responses) -> AsyncGenerator[int]:
        self.attempts.append(len(self.attempts) + 1)
        for index in range(self.num_items):
            if len(self.attempts) <= self.num_deaths and index == self.num_before:
                raise ActorDiedError()
            yield index


@pytest.mark.parametrize("num_deaths", range(MAX_ATTEMPTS))
async def test_a_chain_survives_deaths(num_deaths: int) -> None:
    chain = Flaky(num_deaths)
    assert await retried(chain.once, "req_1") == "picture"
    assert chain.attempts == list(range(1, num_deaths + 2))


async def test_a_chain_that_always_dies_is_given_up() -> None:
    chain = Flaky(num_deaths=99)
    with pytest.raises(ReplicasExhaustedError):
        await retried(chain.once, "req_1")
    assert len(chain.attempts) == MAX_ATTEMPTS


@pytest.mark.parametrize("num_before", [0, 1, 2])
async def test_a_stream_goes_on_without_repeating(num_before: int) -> None:
    chain = Flaky(num_deaths=2, num_before=num_before)
    assert [item async for item in retried_stream(chain.items, "req_1")] == [0, 1, 2]
    assert len(chain.attempts) == 3


async def test_a_stream_that_always_dies_is_given_up() -> None:
    stream = retried_stream(Flaky(num_deaths=99, num_before=1).items, "req_1")
    assert await anext(stream) == 0
    with pytest.raises(ReplicasExhaustedError):
        await anext(stream)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (InvalidRequestError("no", "size"), InvalidRequestError),
        (ValueError("a bug"), StageFailedError),
    ],
)
async def test_other_failures_are_not_tried_again(
    error: Exception, expected: type[Exception]
) -> None:
    attempts = []

    async def once(responses: Responses, attempt: int) -> None:
        attempts.append(attempt)
        raise error

    async def items(responses: Responses) -> AsyncGenerator[int]:
        attempts.append(1)
        raise error
        yield 0

    with pytest.raises(expected):
        await retried(once, "req_1")
    with pytest.raises(expected):
        _ = [item async for item in retried_stream(items, "req_1")]
    assert attempts == [1, 1]


def test_leaving_by_an_error_cancels_every_response() -> None:
    kept, left = Cancelled(), Cancelled()
    hold(kept, None)
    with pytest.raises(KeyError):
        hold(left, KeyError())
    assert (kept.is_cancelled, left.is_cancelled) == (False, True)


def test_the_pause_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_BACKOFF_S", 0.1)
    assert 0.1 <= backoff_s(1) <= 0.2
    assert 0.4 <= backoff_s(3) <= 0.8
