"""Which denoiser a picture goes to, chosen as production does it: by reports, not by sight."""

import random
from collections.abc import Mapping, Sequence
from itertools import count

from benchmarks.scheduling.machine import PX_PER_TOKEN_SIDE
from serve_app.planning.machine import FLUX_1, TEXT_TOKENS
from serve_app.routing.report import Report
from serve_app.routing.standings import Standings

REPORT_PERIOD_S = 0.5  # of the shipped configs
STALE_AFTER_S = 5.0  # of `serve_router.py`
FLOPS_PER_PIXEL = FLUX_1.flops_per_pixel(PX_PER_TOKEN_SIDE, TEXT_TOKENS)


class Router:
    """One ingress' router: between two reports it knows only what it has sent itself."""

    def __init__(self, num_denoisers: int) -> None:
        self._names: Sequence[str] = [str(number) for number in range(num_denoisers)]
        self._standings = Standings(STALE_AFTER_S)
        self._numbers = count()
        # Standings breaks ties by the module's own generator: each run shall be the same again.
        random.seed(0)

    def hear(self, left_s: Mapping[int, float], s_per_flop: float, now: float) -> None:
        """Take in what each denoiser says is left of its work."""
        for number, seconds in left_s.items():
            report = Report(next(self._numbers), seconds, s_per_flop * FLOPS_PER_PIXEL)
            self._standings.note(self._names[number], report, now)

    def choose(self, side_px: int, num_steps: int, now: float) -> int:
        """Return the number of the denoiser that a picture is sent to."""
        order = self._standings.order(self._names, now)
        assert order is not None, "reports come more often than they grow old"
        self._standings.sent(order[0], side_px**2 * num_steps)
        return int(order[0])
