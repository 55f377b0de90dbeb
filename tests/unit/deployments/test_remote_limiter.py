"""Whatever happens to a call to the Limiter, the gate hears `ConnectionError` or an answer."""

import asyncio
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from ray.exceptions import ActorDiedError
from ray.serve.exceptions import BackPressureError
from ray.serve.handle import DeploymentHandle

from serve_app.config import LimitsConfig
from serve_app.deployments.limiter import Limiter
from serve_app.deployments.remote_limiter import RemoteLimiter, gatekeeper_of
from serve_app.limits.admission import NoLimits
from serve_app.limits.protocol import Ask, Need

ASK = Ask("one", "kr_a", None, (Need("a", 1),), (), None, ())


@dataclass
class Response:
    """What Serve gives for a call, in this process."""

    call: Any
    is_cancelled: bool = False

    def __await__(self) -> Generator[Any, None, Any]:
        return cast(Generator[Any, None, Any], self.call.__await__())

    def cancel(self) -> None:
        self.is_cancelled = True


@dataclass
class Handle:
    """A deployment's handle without Ray."""

    limiter: Limiter
    failure: Exception | None = None
    is_silent: bool = False
    responses: list[Response] = field(default_factory=list)

    def __getattr__(self, name: str) -> "Handle":
        self.method = name
        return self

    def remote(self, *args: object) -> Response:
        self.responses.append(Response(self._call(self.method, *args)))
        return self.responses[-1]

    async def _call(self, method: str, *args: object) -> Any:
        if self.is_silent:
            await asyncio.Event().wait()
        if self.failure is not None:
            raise self.failure
        return await getattr(self.limiter, method)(*args)


@pytest.fixture
def handle() -> Handle:
    return Handle(Limiter(LimitsConfig(requests_per_minute=1)))


def remote(handle: Handle) -> RemoteLimiter:
    return RemoteLimiter(cast(DeploymentHandle[Any], handle))


async def test_an_answer_comes_through(handle: Handle) -> None:
    assert (await remote(handle).answer(ASK)).refusals == (None,)
    assert None not in (await remote(handle).answer(ASK)).refusals
    await remote(handle).release("kr_a", "a")


@pytest.mark.parametrize(
    "failure",
    [ActorDiedError(), BackPressureError(num_queued_requests=1, max_queued_requests=1), KeyError()],
    ids=lambda failure: type(failure).__name__,
)
async def test_every_failure_is_a_lost_connection(handle: Handle, failure: Exception) -> None:
    handle.failure = failure
    with pytest.raises(ConnectionError):
        await remote(handle).answer(ASK)


async def test_a_call_that_nobody_waits_for_is_cancelled(handle: Handle) -> None:
    handle.is_silent = True
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await remote(handle).answer(ASK)
    assert [response.is_cancelled for response in handle.responses] == [True]


async def test_without_a_limiter_there_is_no_limit() -> None:
    assert isinstance(gatekeeper_of(LimitsConfig(), None), NoLimits)


async def test_with_a_limiter_a_gate_begins_to_talk_to_it(handle: Handle) -> None:
    limits = LimitsConfig(requests_per_minute=1)
    gatekeeper = gatekeeper_of(limits, cast(DeploymentHandle[Any], handle))
    await asyncio.sleep(0.01)
    assert len(handle.responses) == 1
    async with gatekeeper.admit("kr_a", 1) as admission:
        assert admission.headers["x-ratelimit-remaining-requests"] == "0"
