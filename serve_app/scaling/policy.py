"""How many replicas each deployment shall have: a pure function of how the application stands.

Denoisers follow the seconds of work there are, running and waiting, and the seconds that come. The
other stages follow their own requests, and are never fewer than the denoisers which they feed and
empty will need. Up at once, down after a while: nothing is taken away that was wanted within the
last `hold_s`.

Pure Python: no Ray, no clock; nothing here raises.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil, inf, isfinite, sqrt

from serve_app.config import ScalingConfig
from serve_app.scaling.hold import Hold
from serve_app.scaling.load import ApplicationLoad, DenoiserLoad, StageLoad

DENOISER = "Denoiser"
EPSILON = 1e-9  # of a replica: what rounding makes of a whole number


@dataclass(frozen=True, slots=True)
class Memory:
    """What a decision knows of those before it.

    Attributes:
        holds: Of each deployment, by name.
    """

    holds: Mapping[str, Hold] = field(default_factory=dict)


def plan(
    load: ApplicationLoad, memory: Memory, rules: ScalingConfig
) -> tuple[dict[str, int], Memory]:
    """Return the replicas of each deployment, by name, and what the next decision must know."""
    holds: dict[str, Hold] = {}
    targets: dict[str, int] = {}

    def decide(name: str, wanted: int, stands: DenoiserLoad | StageLoad) -> None:
        before = memory.holds.get(name)
        number = bounded(wanted, stands)
        holds[name] = _hold(before, number, stands.target, load.now, rules)
        targets[name] = bounded(holds[name].greatest, stands)

    decide(DENOISER, denoisers_wanted(load.denoiser, rules), load.denoiser)
    for stage in load.stages:
        decide(stage.name, stage_wanted(stage, targets[DENOISER], rules), stage)
    return targets, Memory(holds)


def denoisers_wanted(load: DenoiserLoad, rules: ScalingConfig) -> int:
    """Return how many denoisers the work needs, bounds aside."""
    kept = _kept_for_arrivals(load.arriving, rules.headroom)
    if load.num_pictures <= 0:
        return kept
    if load.work_s is None:
        # Nobody knows what a picture takes: one denoiser will find out.
        return max(1, load.target)
    return max(1, kept, _whole(load.work_s / rules.work_per_denoiser_s))


def _kept_for_arrivals(arriving: float, headroom: float) -> int:
    """Return how many denoisers what comes keeps busy, and some more for when it comes at once.

    The more there are, the less likely all are busy together: the room grows with the root only.
    """
    if not 0 < arriving < inf:
        return 0
    return round(arriving + headroom * sqrt(arriving))


def stage_wanted(load: StageLoad, num_denoisers: int, rules: ScalingConfig) -> int:
    """Return how many replicas a stage needs: for its own requests, and for those to come."""
    own = _whole(load.num_requests / load.target_requests) if load.target_requests > 0 else 0
    fed = rules.denoisers_per_replica.get(load.name)
    return max(own, _whole(num_denoisers / fed) if fed else 0)


def bounded(number: int, load: DenoiserLoad | StageLoad) -> int:
    """Return the number within a deployment's bounds."""
    return max(load.least, min(load.most, number))


def _hold(before: Hold | None, wanted: int, target: int, now: float, rules: ScalingConfig) -> Hold:
    if before is None:
        # Serve's controller may be new, and not one replica heard yet: what there is was wanted.
        before = Hold(((now, target),))
    return before.after(now, wanted, rules.hold_s, rules.hold_last_s)


def _whole(number: float) -> int:
    return ceil(number - EPSILON) if isfinite(number) else 0
