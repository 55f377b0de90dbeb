"""The production policy, told of a simulated cluster what Serve would tell it."""

from serve_app.config import ScalingConfig
from serve_app.planning.cluster import View
from serve_app.scaling.arrivals import Arrivals
from serve_app.scaling.load import ApplicationLoad, DenoiserLoad
from serve_app.scaling.policy import DENOISER, Memory, plan


class WorkPolicy:
    """`serve_app.scaling.policy`, once a second: reports are half a second old at most."""

    period_s = 1.0

    def __init__(self, rules: ScalingConfig, least: int, most: int) -> None:
        self._rules = rules
        self._least, self._most = least, most
        self._memory = Memory()
        self._arrivals = Arrivals()
        self._accepted_s = 0.0

    def target(self, view: View) -> int:
        """Return how many denoisers there shall be."""
        self._arrivals.add(view.accepted_s - self._accepted_s, view.now)
        self._accepted_s = view.accepted_s
        denoisers = DenoiserLoad(
            target=view.target,
            least=self._least,
            most=self._most,
            num_running=view.num_running,
            num_pictures=view.num_pictures,
            work_s=view.work_s,
            arriving=self._arrivals.per_s(view.now),
        )
        load = ApplicationLoad(view.now, denoisers, ())
        targets, self._memory = plan(load, self._memory, self._rules)
        return targets[DENOISER]
