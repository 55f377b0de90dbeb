"""How many replicas of each stage a stream of requests needs: by arithmetic, then by simulation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import ceil

from serve_app.engine.work import Work
from serve_app.errors import ConfigError
from serve_app.planning.cluster import Cluster, Replicas
from serve_app.planning.machine import TEXT_TOKENS, Machine, image_tokens, step_flops
from serve_app.planning.station import percentile
from serve_app.planning.traffic import Kind, Mix, poisson

MOST_BUSY = 0.7  # of a stage that takes one call after another, so that its queue stays short
MOST_BUSY_DENOISERS = 0.98
P95 = 0.95
MIN_REQUESTS = 3000
MIN_TURNS = 6  # so many times the longest request is simulated at least
WARM_UP_SHARE = 1 / 3  # of the requests; an empty cluster is no fair beginning
MAX_ONGOING = 64
MAX_SEARCHED = 16
SEEDS = (1, 2, 3)  # one run alone may be lucky, and the search would choose where it is


@dataclass(frozen=True, slots=True)
class Demand:
    """What is asked of an application.

    Attributes:
        requests_per_s: Mean rate; they come independently of each other.
        mix: What they ask for.
        slo_s: Within this 95 % of them must be answered.
    """

    requests_per_s: float
    mix: Mix
    slo_s: float

    def mean(self, kind_s: Mapping[Kind, float]) -> float:
        """Return a figure's mean over the requests."""
        return sum(kind_s[kind] * weight for kind, weight in self.mix.items()) / sum(
            self.mix.values()
        )

    @property
    def images_per_s(self) -> float:
        """Pictures per second."""
        return self.requests_per_s * self.mean({kind: float(kind.num_images) for kind in self.mix})


@dataclass(frozen=True, slots=True)
class Plan:
    """What a demand needs.

    Attributes:
        replicas: Of each stage.
        text_encoder_gpu: Fraction of a GPU for each text encoder's work; its memory is not in it.
        vae_gpu: The same for each VAE.
        denoisers_busy: Share of their time.
        p95_s: Latency that 95 % of the requests do not exceed, in the worst of the simulated runs.
        usd_per_image: Of all GPUs.
    """

    replicas: Replicas
    text_encoder_gpu: float
    vae_gpu: float
    denoisers_busy: float
    p95_s: float
    usd_per_image: float

    @property
    def num_gpus(self) -> float:
        """One for each denoiser, and the others' fractions."""
        return (
            self.replicas.denoiser
            + self.replicas.text_encoder * self.text_encoder_gpu
            + self.replicas.vae * self.vae_gpu
        )


def plan(demand: Demand, machine: Machine) -> Plan:
    """Return the fewest replicas that keep 95 % of the requests within the SLO.

    Raises:
        ConfigError: The mix cannot be answered so fast, however many there are.
    """
    _check_slo(demand, machine)
    rate = demand.requests_per_s
    denoising = rate * demand.mean({kind: denoise_s(kind, machine) for kind in demand.mix})
    encoding = rate * machine.encode_s
    decoding = rate * demand.mean(
        {kind: kind.num_images * machine.decoded_s(kind.canvas) for kind in demand.mix}
    )
    writing = rate * demand.mean(
        {kind: kind.num_images * machine.written_s(kind.canvas) for kind in demand.mix}
    )
    few = ceil(denoising / MOST_BUSY_DENOISERS)

    def replicas(num_denoisers: int) -> Replicas:
        return Replicas(
            text_encoder=ceil(encoding / MOST_BUSY),
            denoiser=num_denoisers,
            vae=ceil(decoding / MOST_BUSY),
            image_writer=ceil(writing / MOST_BUSY),
        )

    enough, p95_s = _fewest(demand, machine, few, replicas)
    chosen = replicas(enough)
    found = Plan(
        replicas=chosen,
        text_encoder_gpu=_fraction(encoding / chosen.text_encoder),
        vae_gpu=_fraction(decoding / chosen.vae),
        denoisers_busy=denoising / enough,
        p95_s=p95_s,
        usd_per_image=0.0,
    )
    usd_per_s = found.num_gpus * machine.usd_per_hour / 3600
    return replace(found, usd_per_image=usd_per_s / demand.images_per_s)


def expected_p95_s(demand: Demand, machine: Machine, replicas: Replicas, seed: int) -> float:
    """Return the latency that 95 % of a demand's requests do not exceed, in a simulation."""
    longest_s = max(alone_s(kind, machine) for kind in demand.mix)
    horizon_s = max(MIN_REQUESTS / demand.requests_per_s, MIN_TURNS * longest_s)
    requests = poisson(demand.mix, demand.requests_per_s, horizon_s, seed)
    outcome = Cluster(machine, replicas, max_ongoing=MAX_ONGOING, seed=seed).serve(requests)
    return percentile(outcome.latencies_s[int(WARM_UP_SHARE * len(requests)) :], P95)


def denoise_s(kind: Kind, machine: Machine) -> float:
    """Return the seconds of one denoiser for a request, its pictures one after another."""
    work = Work(
        num_steps=kind.num_steps,
        num_tokens=image_tokens(kind.canvas) + TEXT_TOKENS,
        step_flops=step_flops(kind.canvas),
    )
    return kind.num_images * machine.cost_model().solo_s(work)


def alone_s(kind: Kind, machine: Machine) -> float:
    """Return the seconds of a request on an idle cluster with a denoiser for each picture."""
    one = denoise_s(kind, machine) / kind.num_images
    after = machine.decoded_s(kind.canvas) + machine.written_s(kind.canvas)
    return machine.encode_s + one + after


def _check_slo(demand: Demand, machine: Machine) -> None:
    """Raise where more than one request in twenty takes longer alone."""
    total = sum(demand.mix.values())
    slow = [kind for kind in demand.mix if alone_s(kind, machine) > demand.slo_s]
    if sum(demand.mix[kind] for kind in slow) > (1 - P95) * total:
        least = min(alone_s(kind, machine) for kind in slow)
        raise ConfigError(
            f"slo: over 5 % of the mix takes {least:.1f} s or longer on an idle {machine.name},"
            f" got {demand.slo_s:g} s"
        )


def _fewest(
    demand: Demand, machine: Machine, few: int, replicas: Callable[[int], Replicas]
) -> tuple[int, float]:
    """Return the fewest denoisers, from `few` on, that keep the SLO, and their worst run's p95."""
    found: dict[int, float] = {}

    def is_enough(number: int) -> bool:
        found[number] = 0.0
        for seed in SEEDS:
            p95_s = expected_p95_s(demand, machine, replicas(number), seed)
            found[number] = max(found[number], p95_s)
            if p95_s > demand.slo_s:
                return False
        return True

    low, step = few - 1, 1
    while not is_enough(low + step):
        low, step = low + step, 2 * step
        if low > MAX_SEARCHED * few:
            raise ConfigError(
                f"slo: no number of denoisers keeps it in the simulation, got {demand.slo_s:g} s"
            )
    high = low + step
    # A denoiser in a hundred is within the noise of a simulation.
    while high - low > max(1, high // 100):
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high, found[high]


def _fraction(busy: float) -> float:
    """Return the twentieths of a GPU for a replica that is busy for such a share of its time."""
    return min(1.0, ceil(20 * busy / MOST_BUSY) / 20)
