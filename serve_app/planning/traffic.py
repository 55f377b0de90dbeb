"""Requests on a virtual clock: how they come, and how large they are."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from serve_app.messages import Size


@dataclass(frozen=True, slots=True)
class Kind:
    """What a request asks for.

    Attributes:
        canvas: Of each picture.
        num_steps: Of each picture.
        num_images: At least 1.
    """

    canvas: Size
    num_steps: int
    num_images: int = 1


@dataclass(frozen=True, slots=True)
class Request:
    """One request.

    Attributes:
        arrived_at: In seconds.
        kind: What it asks for.
        tenant: Who sent it.
    """

    arrived_at: float
    kind: Kind
    tenant: str = ""


Mix = Mapping[Kind, float]
"""Kinds of requests, each with its weight, over 0."""


def poisson(mix: Mix, rate: float, horizon_s: float, seed: int) -> list[Request]:
    """Return the requests of a horizon that come independently, at a mean rate per second."""
    rng, now = random.Random(seed), 0.0  # noqa: S311 - no secret
    kinds, weights = list(mix), list(accumulate(mix.values()))
    requests: list[Request] = []
    while (now := now + rng.expovariate(rate)) <= horizon_s:
        requests.append(Request(now, rng.choices(kinds, cum_weights=weights)[0]))
    return requests


def num_images(requests: Sequence[Request]) -> int:
    """Return how many pictures they are in all."""
    return sum(request.kind.num_images for request in requests)
