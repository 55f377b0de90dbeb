"""A chain is run again while replicas die, and a stream goes on where it was."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future
from contextlib import aclosing, nullcontext
from dataclasses import dataclass
from typing import Any

import pytest
from ray.exceptions import ActorDiedError, ActorUnavailableError
from ray.serve.handle import DeploymentResponse

from serve_app import responses as module
from serve_app.errors import (
    InvalidRequestError,
    PoisonRequestError,
    ReplicasExhaustedError,
    StageFailedError,
)
from serve_app.responses import MAX_ATTEMPTS, Attempt, Responses, backoff_s, retried, retried_stream


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


@dataclass(frozen=True)
class Shown:
    """A preview, or what it is a preview of."""

    index: int
    is_preview: bool


class Flaky:
    """A chain whose first `num_deaths` attempts lose a replica after `num_before` items."""

    def __init__(self, num_deaths: int, num_before: int = 0, num_items: int = 3) -> None:
        self.num_deaths, self.num_before, self.num_items = num_deaths, num_before, num_items
        self.attempts: list[int] = []

    async def once(self, responses: Responses, attempt: Attempt) -> str:
        self.attempts.append(attempt.number)
        if len(self.attempts) <= self.num_deaths:
            raise ActorDiedError()
        return "picture"

    async def items(self, responses: Responses, attempt: Attempt) -> AsyncGenerator[Shown]:
        self.attempts.append(attempt.number)
        for index in range(self.num_items):
            if len(self.attempts) <= self.num_deaths and index == self.num_before:
                raise ActorDiedError()
            yield Shown(index, is_preview=index < self.num_items - 1)


@pytest.mark.parametrize("num_deaths", range(MAX_ATTEMPTS))
async def test_a_chain_survives_deaths(num_deaths: int) -> None:
    chain = Flaky(num_deaths)
    assert await retried(chain.once, "req_1") == "picture"
    assert chain.attempts == list(range(1, num_deaths + 2))


async def test_every_further_attempt_is_told_of() -> None:
    told: list[str] = []
    await retried(Flaky(num_deaths=2).once, "req_1", lambda: told.append("one picture"))
    assert len(told) == 2
    stream = retried_stream(Flaky(num_deaths=1).items, "req_1", lambda: told.append("a stream"))
    assert [item.index async for item in stream] == [0, 1, 2]
    assert told[2:] == ["a stream"]


async def test_a_chain_that_always_dies_is_given_up() -> None:
    chain = Flaky(num_deaths=99)
    with pytest.raises(ReplicasExhaustedError):
        await retried(chain.once, "req_1")
    assert len(chain.attempts) == MAX_ATTEMPTS


@pytest.mark.parametrize("num_waits", range(MAX_ATTEMPTS - 2))
async def test_a_chain_of_which_a_second_replica_dies_is_given_up(num_waits: int) -> None:
    suspicions: list[bool] = []

    async def deadly(responses: Responses, attempt: Attempt) -> None:
        suspicions.append(attempt.is_suspect)
        # The replica may die of another suspect, which had its turn before this one.
        with attempt.turn() if attempt.number > 1 + num_waits else nullcontext():
            raise ActorDiedError()

    async def deadly_items(responses: Responses, attempt: Attempt) -> AsyncGenerator[Shown]:
        await deadly(responses, attempt)
        yield Shown(0, is_preview=False)

    with pytest.raises(PoisonRequestError) as told:
        await retried(deadly, "req_1")
    assert suspicions == [False] + [True] * (1 + num_waits)
    assert told.value.headers == {"x-should-retry": "false"}
    with pytest.raises(PoisonRequestError):
        await anext(retried_stream(deadly_items, "req_1"))


@pytest.mark.parametrize("num_deaths", [2, 3])
async def test_a_suspect_that_lived_through_its_turn_is_none_when_another_stage_dies(
    num_deaths: int,
) -> None:
    async def chain(responses: Responses, attempt: Attempt) -> int:
        if attempt.is_suspect:
            with attempt.turn():
                pass
        if attempt.number <= num_deaths:
            raise ActorDiedError()
        return attempt.number

    assert await retried(chain, "req_1") == num_deaths + 1


async def test_a_turn_that_ends_early_is_no_failure_in_it() -> None:
    attempt = Attempt(2)

    async def items() -> AsyncGenerator[int]:
        with attempt.turn():
            yield 1
            yield 2

    async with aclosing(items()) as some:
        assert await anext(some) == 1
    assert not attempt.failed_in_turn


@pytest.mark.parametrize("num_before", [0, 1, 2])
async def test_a_stream_goes_on_without_repeating(num_before: int) -> None:
    chain = Flaky(num_deaths=2, num_before=num_before)
    assert [item.index async for item in retried_stream(chain.items, "req_1")] == [0, 1, 2]
    assert len(chain.attempts) == 3


async def test_a_second_attempt_that_shows_fewer_previews_still_shows_the_picture() -> None:
    async def items(responses: Responses, attempt: Attempt) -> AsyncGenerator[Shown]:
        if attempt.number == 1:
            yield Shown(0, is_preview=True)
            yield Shown(1, is_preview=True)
            raise ActorDiedError()
        yield Shown(2, is_preview=False)

    assert [item.index async for item in retried_stream(items, "req_1")] == [0, 1, 2]


async def test_a_stream_that_always_dies_is_given_up() -> None:
    stream = retried_stream(Flaky(num_deaths=99, num_before=1).items, "req_1")
    assert (await anext(stream)).index == 0
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

    async def once(responses: Responses, attempt: Attempt) -> None:
        attempts.append(attempt.number)
        raise error

    async def items(responses: Responses, attempt: Attempt) -> AsyncGenerator[Shown]:
        attempts.append(1)
        raise error
        yield Shown(0, is_preview=False)

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


class Method:
    """Stands where a deployment's method would: its responses are never answered."""

    def remote(self, *args: object) -> DeploymentResponse[Any]:
        return response_of(Future())


class Accepted:
    """Stands where a call would that a replica has taken."""

    def __init__(self) -> None:
        self.end: Callable[[object], None] = lambda _: None

    def add_done_callback(self, end: Callable[[object], None]) -> None:
        self.end = end

    def cancel(self) -> None:
        pass


def response_of(accepted: "Future[Accepted]") -> DeploymentResponse[Any]:
    return DeploymentResponse(accepted, None)


async def never() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("is_lost_before", [False, True])
async def test_the_loss_of_an_argument_ends_the_wait_for_what_it_was_passed_to(
    is_lost_before: bool,
) -> None:
    call, taken = Accepted(), Future[Accepted]()
    taken.set_result(call)
    responses = Responses()
    responses.start(Method(), response_of(taken), "not a response")
    if is_lost_before:
        call.end(ActorUnavailableError("its node is gone", None))
    waiting = asyncio.create_task(responses.unless_lost(never()))
    await asyncio.sleep(0)
    assert not waiting.done()
    if not is_lost_before:
        call.end(ActorUnavailableError("its node is gone", None))
    with pytest.raises(ActorUnavailableError):
        await asyncio.wait_for(waiting, 10)


@pytest.mark.parametrize("end", [None, ValueError("the stage's own error comes the usual way")])
async def test_any_other_end_of_an_argument_is_no_loss(end: object) -> None:
    call, taken = Accepted(), Future[Accepted]()
    responses = Responses()
    responses.start(Method(), response_of(taken))
    taken.set_result(call)
    call.end(end)

    async def answer() -> str:
        await asyncio.sleep(0.01)
        return "picture"

    assert await responses.unless_lost(answer()) == "picture"


async def test_an_argument_that_no_replica_took_is_no_loss() -> None:
    taken, cancelled = Future[Accepted](), Future[Accepted]()
    responses = Responses()
    responses.start(Method(), response_of(taken), response_of(cancelled))
    taken.set_exception(ValueError())
    cancelled.cancel()
    assert await responses.unless_lost(asyncio.sleep(0.01, "picture")) == "picture"


def test_the_pause_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_BACKOFF_S", 0.1)
    assert 0.1 <= backoff_s(1) <= 0.2
    assert 0.4 <= backoff_s(3) <= 0.8
