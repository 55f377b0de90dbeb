"""Which denoiser a picture goes to: by what each reports, or by Serve's own two choices."""

import random
from collections.abc import Sequence
from typing import Protocol

from serve_app.engine.cost_model import CostModel
from serve_app.planning.denoiser import SLO_FACTOR, Denoiser, Picture
from serve_app.planning.machine import FLUX_1, PX_PER_TOKEN_SIDE, TEXT_TOKENS
from serve_app.routing.report import Report
from serve_app.routing.standings import Asked, Standings

REPORT_PERIOD_S = 0.5  # of the shipped configs
STALE_AFTER_S = 5.0  # of `serve_router.py`
FLOPS_PER_PIXEL = FLUX_1.flops_per_pixel(PX_PER_TOKEN_SIDE, TEXT_TOKENS)
# Production compares all there are; of many thousands some show as well where there is room.
MAX_COMPARED = 64


class Router(Protocol):
    """Sends pictures to denoisers."""

    def choose(
        self, picture: Picture, running: Sequence[Denoiser], max_ongoing: int, now: float
    ) -> Denoiser | None:
        """Return the denoiser for a picture; None while all have as many as they may have."""


class TwoChoices:
    """Serve's own: the one of two, drawn at random, that has fewer pictures."""

    def __init__(self, rng: random.Random) -> None:
        """Draw by some generator."""
        self._rng = rng

    def choose(
        self, picture: Picture, running: Sequence[Denoiser], max_ongoing: int, now: float
    ) -> Denoiser | None:
        """Return the denoiser for a picture; None while all have as many as they may have."""
        if not running:
            return None
        best = _least_busy([self._rng.choice(running), self._rng.choice(running)])
        return best if best.num_jobs < max_ongoing else _with_room(running, max_ongoing)


class LeastWork:
    """Production's: the one that would end the picture first, by the last report of each.

    A denoiser's report is taken when it is first asked for in each half second, and stays what is
    known of it until the next one.
    """

    def __init__(self, cost_model: CostModel, rng: random.Random) -> None:
        """Know nothing yet; what is equally good is drawn."""
        self._s_per_pixel_step = cost_model.s_per_flop * FLOPS_PER_PIXEL
        self._rng = rng
        self._standings = Standings(STALE_AFTER_S, rng)
        self._reported_in: dict[str, int] = {}

    def choose(
        self, picture: Picture, running: Sequence[Denoiser], max_ongoing: int, now: float
    ) -> Denoiser | None:
        """Return the denoiser for a picture; None while all have as many as they may have."""
        compared = running
        if len(running) > MAX_COMPARED:
            compared = self._rng.sample(running, MAX_COMPARED)
        by_name = {denoiser.name: denoiser for denoiser in compared}
        for denoiser in compared:
            self._hear(denoiser, now)
        asked = Asked(
            picture.priority, picture.canvas.width * picture.canvas.height * picture.num_steps
        )
        for name in self._standings.order(list(by_name), asked, now) or ():
            if by_name[name].num_jobs < max_ongoing:
                self._standings.sent(name, asked, now)
                return by_name[name]
        return _with_room(running, max_ongoing)

    def _hear(self, denoiser: Denoiser, now: float) -> None:
        period = int(now / REPORT_PERIOD_S)
        if self._reported_in.get(denoiser.name) == period:
            return
        self._reported_in[denoiser.name] = period
        outlook = denoiser.outlook(now)
        report = Report(period, outlook, self._s_per_pixel_step, SLO_FACTOR)
        self._standings.note(denoiser.name, report, now)


def _least_busy(denoisers: Sequence[Denoiser]) -> Denoiser:
    return min(denoisers, key=lambda one: one.num_jobs)


def _with_room(running: Sequence[Denoiser], max_ongoing: int) -> Denoiser | None:
    """Return the one with the fewest pictures, if that is not as many as it may have."""
    if not running:
        return None
    best = _least_busy(running)
    return best if best.num_jobs < max_ongoing else None
