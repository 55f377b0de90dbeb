"""Several ingresses and a Limiter in one process, whose time passes when nobody is busy."""

import asyncio
import pickle
from collections.abc import Coroutine
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

from serve_app.config import LimitsConfig
from serve_app.errors import RateLimitedError
from serve_app.limits.admission import Admission
from serve_app.limits.gate import Gate
from serve_app.limits.ledger import Ledger
from serve_app.limits.meters import Amounts, limits_of
from serve_app.limits.protocol import Answer, Ask, Crowd, Presence

T = TypeVar("T")

NETWORK_DELAY_S = 0.0007


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop that leaps to the next timer instead of waiting for it."""

    def __init__(self) -> None:
        super().__init__()
        self._now_s = 0.0
        selector: Any = self._selector  # type: ignore[attr-defined]
        select = selector.select

        def leap(timeout: float | None) -> Any:
            assert timeout is not None, "everybody waits, and no timer runs"
            self._now_s += timeout
            return select(0)

        selector.select = leap

    def time(self) -> float:
        return self._now_s


def run(work: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine returns, in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)


def now_ns() -> int:
    """Return the virtual time."""
    return round(asyncio.get_running_loop().time() * 10**9)


def limits(
    requests: int | None = None, images: int | None = None, concurrent: int | None = None
) -> Amounts:
    return limits_of(
        LimitsConfig(
            requests_per_minute=requests,
            images_per_minute=images,
            max_concurrent_requests=concurrent,
        )
    )


@dataclass
class Network:
    """The way to a real ledger: messages are copied, take time, and may get lost."""

    limits: Amounts
    ledger: Ledger | None
    is_frozen: bool = False
    num_calls: int = 0
    asks: list[Ask] = field(default_factory=list)

    async def answer(self, ask: Ask) -> Answer:
        self.asks.append(ask)
        return copied((await self._reached()).answer(copied(ask)))

    async def renew(self, presence: Presence) -> Crowd:
        return copied((await self._reached()).renew(copied(presence)))

    async def release(self, key: str, slot: str) -> None:
        (await self._reached()).release(key, slot)

    def restart(self) -> None:
        """Replace the Limiter by one that knows nothing."""
        self.ledger, self.is_frozen = Ledger(self.limits, now_ns), False

    async def _reached(self) -> Ledger:
        self.num_calls += 1
        await asyncio.sleep(NETWORK_DELAY_S)
        if self.is_frozen:
            await asyncio.Event().wait()
        if self.ledger is None:
            raise ConnectionError("nobody is there")
        return self.ledger


def copied(message: T) -> T:
    """Return a message as another process would get it."""
    copy: T = pickle.loads(pickle.dumps(message))
    return copy


@dataclass
class Cluster:
    """Some gates that one network joins."""

    network: Network
    gates: list[Gate]

    @classmethod
    async def of(cls, num_ingresses: int, allowed: Amounts) -> Self:
        network = Network(allowed, Ledger(allowed, now_ns))
        gates = [Gate(allowed, network, now_ns) for _ in range(num_ingresses)]
        for _ in range(2):  # the first of them hears of the others when it calls again
            for gate in gates:
                gate.start()
            await asyncio.sleep(0.01)
        return cls(network, gates)

    async def send(self, index: int, key: str | None = "kr_a", num_images: int = 1) -> bool:
        """Send a request that is over at once; return whether it was admitted."""
        with suppress(RateLimitedError):
            async with self.gates[index % len(self.gates)].admit(key, num_images):
                return True
        return False

    async def send_many(self, num_requests: int, key: str | None = "kr_a") -> int:
        """Send requests at the same moment, to all in turn; return how many were admitted."""
        return sum(await asyncio.gather(*(self.send(i, key) for i in range(num_requests))))

    async def send_steadily(self, num_requests: int, duration_s: float, key: str = "kr_a") -> int:
        """Send requests evenly over a time; return how many were admitted."""
        sent = []
        for index in range(num_requests):
            sent.append(asyncio.ensure_future(self.send(index, key)))
            await asyncio.sleep(duration_s / num_requests)
        return sum(await asyncio.gather(*sent))

    async def start(self, index: int, held: AsyncExitStack, key: str = "kr_a") -> Admission:
        """Begin a request that runs until `held` is closed."""
        return await held.enter_async_context(self.gates[index % len(self.gates)].admit(key, 1))


class HandClock:
    """A clock that somebody sets."""

    def __init__(self, now_s: float = 1000) -> None:
        self.now_s = now_s

    def __call__(self) -> int:
        return round(self.now_s * 10**9)
