"""Requests of a long time: a trace's, or made up in its likeness."""

import csv
import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from math import pi, sin
from pathlib import Path

from serve_app.messages import Size
from serve_app.planning.traffic import Kind, Request

# Of Alibaba, and not ours to give away: it may lie beside the checkout.
TRACE = Path(__file__).parents[3] / "shared" / "traces" / "gentd26_requests.csv"
CANVAS = Size(1024, 1024)
NUM_IMAGES = {1: 58, 2: 8, 4: 19, 8: 15}  # to weight, as in GenTD26
NUM_STEPS = 30
DAY_S = 24 * 3600.0
REQUESTS_PER_VISIT = 6.0
SECONDS_BETWEEN = 45.0


def read_day(path: Path, num_folds: int) -> list[Request]:
    """Return a trace's text-to-image requests, all of 1024x1024, laid over each other.

    Args:
        path: A CSV with arrival_s, num_inference_steps, num_images, kind and user.
        num_folds: Into how many parts of equal length it is cut, which then come at the same time:
            so there is more to do, and every pause and burst keeps its length.
    """
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] == "TXT_2_IMG"]
    requests = [
        Request(
            arrived_at=float(row["arrival_s"]),
            kind=Kind(
                CANVAS,
                num_steps=round(float(row["num_inference_steps"] or NUM_STEPS)),
                num_images=round(float(row["num_images"] or 1)),
            ),
            tenant=row["user"],
        )
        for row in rows
    ]
    length_s = (requests[-1].arrived_at + 1) / num_folds
    return _sorted(replace(each, arrived_at=each.arrived_at % length_s) for each in requests)


def made_up_day(visits: float, seed: int) -> list[Request]:
    """Return a day of visitors who each ask several times, more of them at noon than at night."""
    visits_per_s = 2 * visits / DAY_S
    return _asked_by_visitors(visits_per_s, REQUESTS_PER_VISIT, DAY_S, _share_at, seed)


def steady(
    requests_per_s: float,
    length_s: float,
    seed: int,
    requests_per_visit: float = REQUESTS_PER_VISIT,
) -> list[Request]:
    """Return requests of visitors of whom as many come at any time; few are there at its begin."""
    visits_per_s = requests_per_s / requests_per_visit
    return _asked_by_visitors(visits_per_s, requests_per_visit, length_s, lambda _: 1.0, seed)


def _share_at(time_of_day_s: float) -> float:
    """Return how many visitors come at a time of day, as a share of the most that may."""
    return 0.5 - 0.45 * sin(2 * pi * time_of_day_s / DAY_S + pi / 2)


def _asked_by_visitors(
    most_per_s: float,
    requests_per_visit: float,
    length_s: float,
    share_at: Callable[[float], float],
    seed: int,
) -> list[Request]:
    rng, now = random.Random(seed), 0.0  # noqa: S311 - no secret
    requests: list[Request] = []
    while (now := now + rng.expovariate(most_per_s)) < length_s:
        if rng.random() > share_at(now):
            continue
        at, tenant = now, f"{len(requests)}"
        while True:
            num_images = rng.choices(list(NUM_IMAGES), list(NUM_IMAGES.values()))[0]
            requests.append(Request(at, Kind(CANVAS, NUM_STEPS, num_images), tenant))
            if rng.random() < 1 / requests_per_visit:
                break
            at += rng.expovariate(1 / SECONDS_BETWEEN)
    return _sorted(requests)


def _sorted(requests: Iterable[Request]) -> list[Request]:
    return sorted(requests, key=lambda request: request.arrived_at)


def part_of(requests: list[Request], begin_s: float, length_s: float) -> list[Request]:
    """Return the requests of a part of the time, which then begins at 0."""
    return [
        replace(request, arrived_at=request.arrived_at - begin_s)
        for request in requests
        if begin_s <= request.arrived_at < begin_s + length_s
    ]
