"""Requests at a fixed rate, whether or not the ones before were answered."""

import asyncio
import time
from dataclasses import dataclass

import httpx

from tests.chaos.pictures import PATH, SEEDS, Pictures
from tests.chaos.report import quantile

REFUSALS = (429, 503)
TIMEOUT_S = 120


@dataclass(frozen=True, slots=True)
class Answered:
    """A request of a flood.

    Attributes:
        status: Of its answer; 0 when there was none.
        took_s: Until it came.
        fault: What is wrong with it; None for a right picture and for a proper refusal.
    """

    status: int
    took_s: float
    fault: str | None


@dataclass(frozen=True, slots=True)
class Flood:
    """All requests of a flood.

    Attributes:
        answers: One per request.
    """

    answers: tuple[Answered, ...]

    def took_s(self, share: float, *statuses: int) -> float:
        """Return the time within which a share of the answers of some statuses came."""
        return quantile((each.took_s for each in self.answers if each.status in statuses), share)

    def count(self, *statuses: int) -> int:
        """Return how many answers had one of some statuses."""
        return sum(each.status in statuses for each in self.answers)

    def faults(self) -> set[str]:
        """Return what was wrong, each thing once."""
        return {each.fault for each in self.answers if each.fault is not None}


async def flood(url: str, pictures: Pictures, rate_hz: float, duration_s: float) -> Flood:
    """Send requests at a rate and return how all of them were answered."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S, limits=limits) as client:
        asked = []
        for number in range(int(rate_hz * duration_s)):
            seed = SEEDS[number % len(SEEDS)]
            asked.append(asyncio.create_task(_ask(client, pictures, seed)))
            await asyncio.sleep(1 / rate_hz)
        return Flood(tuple(await asyncio.gather(*asked)))


async def _ask(client: httpx.AsyncClient, pictures: Pictures, seed: int) -> Answered:
    began_at = time.monotonic()
    try:
        answer = await client.post(PATH, json=pictures.body(seed))
    except httpx.TransportError as error:
        return Answered(0, time.monotonic() - began_at, type(error).__name__)
    took_s = time.monotonic() - began_at
    fault = await asyncio.to_thread(_fault, answer, pictures, seed)
    return Answered(answer.status_code, took_s, fault)


def _fault(answer: httpx.Response, pictures: Pictures, seed: int) -> str | None:
    if answer.status_code == 200:
        return None if pictures.has(answer.json(), seed) else "another picture"
    if answer.status_code not in REFUSALS:
        return f"{answer.status_code} {answer.text[:80]}"
    if not answer.headers.get("retry-after", "").isdigit():
        return f"{answer.status_code} without Retry-After"
    if not answer.headers["content-type"].startswith("application/json"):
        return f"{answer.status_code} as {answer.headers['content-type']}"
    return None if answer.json()["error"]["message"] else "a refusal that says nothing"
