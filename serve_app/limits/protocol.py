"""What an ingress and the Limiter say to each other; spans of time only, for clocks differ."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from serve_app.limits.clock import NS_PER_S
from serve_app.limits.meters import Amounts, Meter

LEASE_NS = NS_PER_S // 4
SLOT_TTL_NS = 10 * NS_PER_S

# When a slot becomes free, nobody knows before.
UNKNOWN_WAIT_NS = 2 * NS_PER_S


@dataclass(frozen=True, slots=True)
class Need:
    """One request that asks to be admitted.

    Attributes:
        slot: Its own name, under which it counts as running.
        num_images: It asks for.
    """

    slot: str
    num_images: int


@dataclass(frozen=True, slots=True)
class Lease:
    """Tokens for requests to come, which an ingress may spend for `LEASE_NS`.

    Attributes:
        returns_at_ns: On the Limiter's clock: when they can be lent again, spent or not.
        amounts: Of each meter by the minute.
    """

    returns_at_ns: int
    amounts: Amounts


@dataclass(frozen=True, slots=True)
class Spend:
    """What an ingress admitted without the Limiter's knowledge."""

    meter: Meter
    amount: int
    returns_in_ns: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that is not admitted now.

    Attributes:
        meter: The limit in its way; of several, the one that takes longest.
        amount: It needed.
        retry_after_ns: Until there may be as much.
    """

    meter: Meter
    amount: int
    retry_after_ns: int


@dataclass(frozen=True, slots=True)
class Level:
    """How a meter stands.

    Attributes:
        limit: The most there can be.
        free: Not used up; never negative.
        full_in_ns: Until `free` is `limit` again, if nothing more comes; None where unknown.
    """

    limit: int
    free: int
    full_in_ns: int | None


@dataclass(frozen=True, slots=True)
class Crowd:
    """One ingress among all, as a Limiter sees them.

    Attributes:
        epoch: Of this Limiter: another one knows nothing of what this one does.
        rank: From 0.
        num_ingresses: Of the application.
        limits: That it goes by, for an operator may change them; None: nobody has said.
    """

    epoch: str | None = None
    rank: int = 0
    num_ingresses: int = 1
    limits: Amounts | None = None

    def share(self, limit: int) -> int:
        """Return this ingress's part of a limit; the parts of all add up to it."""
        through = limit * (self.rank + 1) // self.num_ingresses
        return through - limit * self.rank // self.num_ingresses


@dataclass(frozen=True, slots=True)
class Ask:
    """What an ingress asks for a key.

    Attributes:
        ingress_id: Who asks.
        key: The caller's.
        epoch: Of the Limiter that knows what was spent before; None: there is none.
        needs: Requests that wait, in their order.
        slots: Requests that run.
        unspent: What is left of the last lease.
        spends: What was spent besides.
    """

    ingress_id: str
    key: str
    epoch: str | None
    needs: tuple[Need, ...]
    slots: tuple[str, ...]
    unspent: Lease | None
    spends: tuple[Spend, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the Limiter says to an `Ask`.

    Attributes:
        is_forgotten: Nothing was decided, for the question is to a Limiter of another epoch.
        refusals: Of each need; None: it is admitted.
        lease: Tokens on top.
        levels: Of the key's meters.
        crowd: The ingress among all.
    """

    is_forgotten: bool
    refusals: tuple[Refusal | None, ...]
    lease: Lease | None
    levels: Mapping[Meter, Level]
    crowd: Crowd


@dataclass(frozen=True, slots=True)
class Presence:
    """A sign of life.

    Attributes:
        ingress_id: Who lives.
        slots: The requests that run, by key.
    """

    ingress_id: str
    slots: Mapping[str, tuple[str, ...]]


class LimiterCalls(Protocol):
    """The way to the Limiter; each call raises `ConnectionError` when it cannot be reached."""

    async def answer(self, ask: Ask) -> Answer:
        """Decide on the requests of one key."""

    async def renew(self, presence: Presence) -> Crowd:
        """Keep an ingress and its running requests in mind for another `SLOT_TTL_NS`."""

    async def release(self, key: str, slot: str) -> None:
        """Note that a request does not run any more."""
