"""Which denoiser a picture goes to, chosen as production does it: by reports, not by sight."""

import random
from collections.abc import Sequence
from itertools import count

from serve_app.engine.outlook import Outlook
from serve_app.planning.router import FLOPS_PER_PIXEL, STALE_AFTER_S
from serve_app.routing.report import Report
from serve_app.routing.standings import Asked, Standings


class Router:
    """One ingress' router: between two reports it knows only what it has sent itself."""

    def __init__(self, num_denoisers: int, slo_factor: float) -> None:
        self._names: Sequence[str] = [str(number) for number in range(num_denoisers)]
        self._slo_factor = slo_factor
        # Each run shall be the same again.
        self._standings = Standings(STALE_AFTER_S, random.Random(0))  # noqa: S311 - no secret
        self._numbers = count()

    def hear(self, outlooks: Sequence[Outlook], s_per_flop: float, now: float) -> None:
        """Take in what the denoisers report, in their order."""
        number = next(self._numbers)
        s_per_pixel_step = s_per_flop * FLOPS_PER_PIXEL
        for name, outlook in zip(self._names, outlooks, strict=True):
            report = Report(number, outlook, s_per_pixel_step, self._slo_factor)
            self._standings.note(name, report, now)

    def choose(self, side_px: int, num_steps: int, now: float) -> int:
        """Return the number of the denoiser that a picture is sent to."""
        asked = Asked(pixel_steps=side_px**2 * num_steps)
        order = self._standings.order(self._names, asked, now)
        assert order is not None, "reports come more often than they grow old"
        self._standings.sent(order[0], asked, now)
        return int(order[0])
