"""What the policy sees of an application: plain numbers, of one moment."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StageLoad:
    """How a deployment stands.

    Attributes:
        name: Of the deployment.
        target: Replicas that were asked for.
        least: Replicas it must have.
        most: Replicas it may have.
        num_requests: That run or wait for a replica.
        target_requests: That one replica should have.
    """

    name: str
    target: int
    least: int
    most: int
    num_requests: float
    target_requests: float


@dataclass(frozen=True, slots=True)
class DenoiserLoad:
    """How the denoisers stand.

    Attributes:
        target: Replicas that were asked for.
        least: Replicas there must be.
        most: Replicas there may be.
        num_running: Replicas that take pictures.
        num_pictures: That have not been denoised yet, wherever they are.
        work_s: Seconds that one denoiser would need for all of them; None while nobody knows,
            because none has run yet.
        arriving: Such seconds that come per second: how many denoisers would be just busy.
    """

    target: int
    least: int
    most: int
    num_running: int
    num_pictures: float
    work_s: float | None
    arriving: float


@dataclass(frozen=True, slots=True)
class ApplicationLoad:
    """How an application stands.

    Attributes:
        now: Of any clock that goes forward, in seconds.
        denoiser: Its denoisers.
        stages: All its other deployments.
    """

    now: float
    denoiser: DenoiserLoad
    stages: tuple[StageLoad, ...]
