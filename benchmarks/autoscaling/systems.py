"""Who serves the requests, and who decides how many replicas there are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from benchmarks.autoscaling.monolith import Monoliths
from benchmarks.autoscaling.ours import WorkPolicy
from benchmarks.autoscaling.ray_default import RayDefault
from serve_app.config import ScalingConfig
from serve_app.planning.cluster import Cluster, Outcome, Replicas
from serve_app.planning.machine import Machine
from serve_app.planning.traffic import Request

MOST = 16
MAX_ONGOING = 16  # of configs/krea-8gpu.yaml
STAGES_GPU = 0.3 + 0.2  # what its text encoder and its VAE take of a GPU, busy or not
RULES = ScalingConfig()


class System(Protocol):
    """Serves requests with up to `MOST` GPUs for what denoises."""

    @property
    def shared_gpu(self) -> float:
        """Return the fraction of a GPU that it takes besides, all the time."""

    def outcome(self, requests: Sequence[Request], machine: Machine) -> Outcome:
        """Return what comes of the requests."""


@dataclass(frozen=True, slots=True)
class Stages:
    """Our application; the number of its denoisers changes.

    Attributes:
        is_on_work: Whether replicas follow the work; if not, Ray's default policy decides.
        is_routed_on_work: Whether pictures go by the work, too; if not, Ray's default router sends
            them.
        least: Denoisers there must be.
        max_ongoing: Pictures that one may hold.
        shared_gpu: Fraction of a GPU for the other stages.
    """

    is_on_work: bool
    is_routed_on_work: bool
    least: int = 1
    max_ongoing: int = MAX_ONGOING
    shared_gpu: float = STAGES_GPU

    def outcome(self, requests: Sequence[Request], machine: Machine) -> Outcome:
        """Return what comes of the requests."""
        policy = (
            WorkPolicy(RULES, self.least, MOST) if self.is_on_work else RayDefault(self.least, MOST)
        )
        replicas = Replicas(text_encoder=1, denoiser=self.least, vae=1, image_writer=4)
        cluster = Cluster(
            machine,
            replicas,
            policy,
            self.max_ongoing,
            is_routed_on_work=self.is_routed_on_work,
        )
        return cluster.serve(requests)


@dataclass(frozen=True, slots=True)
class Monolith:
    """Whole pipelines under Ray's default policy.

    Attributes:
        shared_gpu: Nothing: everything is in its replicas.
    """

    shared_gpu: float = 0.0

    def outcome(self, requests: Sequence[Request], machine: Machine) -> Outcome:
        """Return what comes of the requests."""
        return Monoliths(machine, 1, RayDefault(1, MOST)).serve(requests)


# The first two are what all others are compared with.
SYSTEMS: Mapping[str, System] = {
    "monolith, Ray's default": Monolith(),
    "stages, Ray's default": Stages(is_on_work=False, is_routed_on_work=False),
    "same, 64 pictures each": Stages(is_on_work=False, is_routed_on_work=False, max_ongoing=64),
    "stages, scaled on work": Stages(is_on_work=True, is_routed_on_work=False),
    "stages, routed on work too": Stages(is_on_work=True, is_routed_on_work=True),
    "same, down to none": Stages(is_on_work=True, is_routed_on_work=True, least=0),
    "same, 2 pictures each": Stages(is_on_work=True, is_routed_on_work=True, max_ongoing=2),
}
