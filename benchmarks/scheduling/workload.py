"""Requests on a virtual clock: made up, or read from a trace."""

import csv
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.scheduling.machine import ENCODE_S, PNG_S, VAE_S, step_s

SIDES_PX = {512: 30, 768: 15, 1024: 45, 1536: 7, 2048: 3}  # side to weight
STEPS = {8: 10, 20: 10, 28: 55, 30: 20, 50: 5}


@dataclass(frozen=True, slots=True)
class Request:
    """One request of square pictures.

    Attributes:
        arrived_at: In seconds.
        side_px: Of its pictures.
        num_steps: Of each.
        num_images: At least 1.
        tenant: Who sent it.
    """

    arrived_at: float
    side_px: int
    num_steps: int
    num_images: int = 1
    tenant: str = ""

    @property
    def denoise_s(self) -> float:
        """Seconds of one denoiser for all its pictures, one at a time."""
        return self.num_images * self.num_steps * step_s(self.side_px)

    @property
    def isolated_s(self) -> float:
        """Seconds of an idle monolith, from prompt to PNG: what its deadline is a multiple of."""
        after = VAE_S[self.side_px] + PNG_S[self.side_px]
        return ENCODE_S + self.denoise_s + self.num_images * after

    def deadline_at(self, slo_factor: float) -> float:
        """Return by when it must be done."""
        return self.arrived_at + slo_factor * self.isolated_s + 0.5


@dataclass(frozen=True, slots=True)
class Load:
    """A kind of traffic.

    Attributes:
        name: For the table.
        is_mixed: Sizes and steps of perf.md's mix; if not, all are 1024x1024 with 28 steps.
        variation: Coefficient of variation of the gaps between arrivals; 1 is Poisson.
    """

    name: str
    is_mixed: bool
    variation: float

    def requests(self, rate: float, horizon_s: float, seed: int) -> list[Request]:
        """Return the requests of a horizon at a mean rate per second."""
        rng, now = random.Random(seed), 0.0  # noqa: S311 - no secret
        requests: list[Request] = []
        shape = 1 / self.variation**2
        while True:
            now += rng.gammavariate(shape, 1 / (rate * shape))
            if now > horizon_s:
                return requests
            requests.append(self._request(now, rng))

    def _request(self, arrived_at: float, rng: random.Random) -> Request:
        if not self.is_mixed:
            return Request(arrived_at, 1024, 28)
        side_px = rng.choices(list(SIDES_PX), list(SIDES_PX.values()))[0]
        return Request(arrived_at, side_px, rng.choices(list(STEPS), list(STEPS.values()))[0])

    def saturation_rate(self, num_denoisers: int) -> float:
        """Return the requests per second that keep all denoisers busy without a pause."""
        sample = self.requests(1.0, 20_000, seed=9)
        return num_denoisers * len(sample) / sum(request.denoise_s for request in sample)


def read_trace(path: Path) -> Callable[[float], list[Request]]:
    """Return what makes requests of a trace's text-to-image rows, all of 1024x1024, at a speed.

    Args:
        path: A CSV with arrival_s, num_inference_steps, num_images, kind and user.
    """
    with path.open(encoding="utf-8", newline="") as file:
        # Some rows lack their steps: nothing was generated.
        rows = [
            row
            for row in csv.DictReader(file)
            if row["kind"] == "TXT_2_IMG" and row["num_inference_steps"]
        ]

    def requests(speed: float) -> list[Request]:
        return [
            Request(
                arrived_at=float(row["arrival_s"]) / speed,
                side_px=1024,
                num_steps=round(float(row["num_inference_steps"])),
                num_images=round(float(row["num_images"] or 1)),
                tenant=row["user"],
            )
            for row in rows
        ]

    return requests
