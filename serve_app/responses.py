"""Chains of calls to deployments: held together, cancelled together, run again after a death.

Serve never retries a request that a replica accepted, and cancelling a task that awaits a
response does not cancel the replica's work. So every chain of calls is held by a `Responses`
block that cancels what it started, and is run again, whole, when a replica died.

A request of which replicas die would be run again until none is left, and take its neighbours with
it each time. So from the second attempt on it is a suspect: suspects of a replica run one after the
other, and each says when its turn has come. Who is the suspect of a second death is given up.

A chain must hear of such a death from us. Where a call's argument is a response that is lost with
its node, Serve's router takes the `ActorUnavailableError` for one of the replica that it asks, and
asks again until the request's deadline (Ray 2.60).
"""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar, cast

from ray import ObjectRef
from ray.serve.handle import (
    DeploymentHandle,
    DeploymentResponse,
    DeploymentResponseGenerator,
)

from serve_app.errors import PoisonRequestError
from serve_app.ray_errors import is_replica_loss, to_request_error

logger = logging.getLogger(__name__)

# One for a death as a neighbour, one for a death while another suspect had its turn, and one more.
MAX_ATTEMPTS = 4
FIRST_BACKOFF_S = 0.1

# A waiting reader takes a thread. asyncio's own pool has only a few, and the rest needs those.
MAX_STREAMS = 256
_STREAM_READERS = ThreadPoolExecutor(MAX_STREAMS, thread_name_prefix="stream-reader")

T = TypeVar("T")
ShownT = TypeVar("ShownT", bound="Shown")


@dataclass(slots=True)
class Attempt:
    """One run of a chain.

    Attributes:
        number: From 1.
        failed_in_turn: Whether it failed where it was the one suspect that a replica ran: if that
            died, it was of this.
    """

    number: int = 1
    failed_in_turn: bool = False

    @property
    def is_suspect(self) -> bool:
        """Whether a replica may have died of this chain."""
        return self.number > 1

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Be the one suspect of a replica for the length of the block."""
        try:
            yield
        except Exception:  # not its end by who wants no more of it
            self.failed_in_turn = True
            raise


class Responses:
    """The responses of one chain of calls; leaving the block by an error cancels them all."""

    def __init__(self) -> None:
        self._responses: list[DeploymentResponse[Any] | DeploymentResponseGenerator[Any]] = []
        self._losses: list[asyncio.Future[Exception]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            for response in self._responses:
                response.cancel()

    def start(self, method: DeploymentHandle[Any], *args: object) -> DeploymentResponse[Any]:
        """Call a deployment's method; the response may be passed on without being awaited."""
        # A generator only where `stream=True` was asked for.
        response = cast(DeploymentResponse[Any], method.remote(*args))
        self._responses.append(response)
        self._watch(args)
        return response

    async def unless_lost(self, awaited: Awaitable[T]) -> T:
        """Return what is awaited, or raise the loss of what was passed on to it.

        Raises:
            RayError: The loss.
        """
        waiting = asyncio.ensure_future(awaited)
        waiting.add_done_callback(_take_note)
        try:
            either: list[asyncio.Future[Any]] = [waiting, *self._losses]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                return waiting.result()
            raise next(loss.result() for loss in self._losses if loss.done())
        finally:
            waiting.cancel()

    def _watch(self, args: tuple[object, ...]) -> None:
        """Note the loss of an argument that is a response."""
        for argument in args:
            if isinstance(argument, DeploymentResponse):
                self._losses.append(loss_of(argument))

    async def start_stream(
        self, method: DeploymentHandle[Any], *args: object
    ) -> AsyncGenerator[ObjectRef[Any]]:
        """Call a deployment's generator; yield references to its items, which stay unopened.

        Raises:
            RayError: It failed, or its replica died.
        """
        response = cast(DeploymentResponseGenerator[Any], method.options(stream=True).remote(*args))
        self._responses.append(response)
        self._watch(args)
        references = await self.unless_lost(response._to_object_ref_gen())
        # Not `async for`: Ray's awaits each item, and with it opens it in this process (2.60).
        read = partial(
            asyncio.get_running_loop().run_in_executor, _STREAM_READERS, next, references, None
        )
        while (reference := await read()) is not None:
            if reference == references.completed():
                await reference  # no item: there is nothing in it but the error
            yield reference


def loss_of(response: DeploymentResponse[Any]) -> asyncio.Future[Exception]:
    """Return what will be the loss of a call's replica, if it is lost; the answer stays unopened.

    Serve has no other way to hear of a call's end without its value (Ray 2.60).
    """
    loop = asyncio.get_running_loop()
    loss: asyncio.Future[Exception] = loop.create_future()

    def settle(error: Exception) -> None:
        if not loss.done():
            loss.set_result(error)

    def ended(result: object) -> None:
        if isinstance(result, Exception) and is_replica_loss(result):
            # Without a loop there is nobody left to be told.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(settle, result)

    def accepted(replica_result: Future[Any]) -> None:
        if not replica_result.cancelled() and replica_result.exception() is None:
            replica_result.result().add_done_callback(ended)

    response._replica_result_future.add_done_callback(accepted)
    return loss


def _take_note(waiting: asyncio.Future[Any]) -> None:
    """See the error of what nobody waits for any longer, of which asyncio would complain."""
    if not waiting.cancelled():
        waiting.exception()


def count_nothing() -> None:
    """Be told of a replica's death, and do nothing."""


async def retried(
    chain: Callable[[Responses, Attempt], Awaitable[T]],
    request_id: str,
    on_retry: Callable[[], None] = count_nothing,
) -> T:
    """Return a chain's result; the chain is started again while replicas die under it.

    Args:
        chain: Is given what holds its responses, and which attempt it is.
        request_id: For the log.
        on_retry: Is told that the chain is started again.

    Raises:
        RequestError: What the client is to be told.
    """
    attempt = Attempt()
    while True:
        try:
            with Responses() as responses:
                return await chain(responses, attempt)
        except Exception as error:  # noqa: BLE001 - raised again unless it is worth another try
            attempt = await _next_attempt(attempt, error, request_id)
            on_retry()


class Shown(Protocol):
    """What a stream shows: previews, and at last what they are previews of."""

    @property
    def is_preview(self) -> bool:
        """Whether it may be missing."""


async def retried_stream(
    chain: Callable[[Responses, Attempt], AsyncGenerator[ShownT]],
    request_id: str,
    on_retry: Callable[[], None] = count_nothing,
) -> AsyncGenerator[ShownT]:
    """Yield a chain's items; one that is started again leaves out as many previews as were shown.

    Raises:
        RequestError: What the client is to be told.
    """
    attempt, num_shown = Attempt(), 0
    while True:
        try:
            with Responses() as responses:
                async with aclosing(chain(responses, attempt)) as items:
                    num_previews = 0
                    async for item in items:
                        num_previews += item.is_preview
                        if not item.is_preview or num_previews > num_shown:
                            num_shown = max(num_shown, num_previews)
                            yield item
                return
        except Exception as error:  # noqa: BLE001 - raised again unless it is worth another try
            attempt = await _next_attempt(attempt, error, request_id)
            on_retry()


async def _next_attempt(attempt: Attempt, error: Exception, request_id: str) -> Attempt:
    """Return the attempt after one that failed, after a pause, or raise what the client is told."""
    if not is_replica_loss(error) or attempt.number == MAX_ATTEMPTS:
        raise to_request_error(error, request_id) from error
    if attempt.failed_in_turn:
        logger.error("replicas die of request %s; it is given up", request_id, exc_info=error)
        raise PoisonRequestError from error
    logger.warning("request %s lost a replica in attempt %d", request_id, attempt.number)
    await asyncio.sleep(backoff_s(attempt.number))
    return Attempt(attempt.number + 1)


def backoff_s(attempt: int) -> float:
    """Return the jittered pause after failed attempt number `attempt`, in seconds."""
    return FIRST_BACKOFF_S * 2.0 ** (attempt - 1) * random.uniform(1, 2)  # noqa: S311 - jitter
