"""Autoscaling on work beside Ray Serve's default, on a virtual clock: `make bench-autoscale`.

    python -m benchmarks.autoscaling [--trace FILE] [--hours H] [--start-s S] [--picture FILE]

The same requests come to the same simulated application (`serve_app.planning`): what differs is who
decides the number of its denoisers; where it is said, how many pictures one may hold, which is 16
as in configs/krea-8gpu.yaml. A denoiser is paid for from the decision to its end, start included.
Nothing is timed.
"""

import argparse
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.autoscaling.days import DAY_S, made_up_day, part_of, read_day
from benchmarks.autoscaling.ours import WorkPolicy
from benchmarks.autoscaling.ray_default import RayDefault
from serve_app.config import ScalingConfig
from serve_app.planning.cluster import Cluster, Outcome, Replicas
from serve_app.planning.machine import MACHINES, Machine
from serve_app.planning.station import percentile
from serve_app.planning.traffic import Request, num_images

NUM_FOLDS = 10
VISITS = 1200.0
MOST = 16
RULES = ScalingConfig()
GOAL_COST, GOAL_P95 = 0.56, 0.5


@dataclass(frozen=True, slots=True)
class System:
    """Who decides, and within which bounds.

    Attributes:
        is_ours: Whether replicas follow the work; if not, Ray's default policy decides.
        least: Denoisers there must be.
        max_ongoing: Pictures that one may hold.
    """

    is_ours: bool
    least: int
    max_ongoing: int

    def outcome(self, requests: Sequence[Request], machine: Machine) -> Outcome:
        """Return what comes of the requests."""
        policy = (
            WorkPolicy(RULES, self.least, MOST) if self.is_ours else RayDefault(self.least, MOST)
        )
        replicas = Replicas(text_encoder=1, denoiser=self.least, vae=1, image_writer=4)
        return Cluster(machine, replicas, policy, self.max_ongoing).serve(requests)


MAX_ONGOING = 16  # of configs/krea-8gpu.yaml
SYSTEMS = {
    "Ray's default": System(False, 1, MAX_ONGOING),
    "Ray's default, 64 pictures each": System(False, 1, 64),
    "on work": System(True, 1, MAX_ONGOING),
    "on work, down to none": System(True, 0, MAX_ONGOING),
    "on work, 2 pictures each": System(True, 1, 2),
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        prog="autoscaling",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--trace", type=Path, help="requests of the Alibaba GenTD26 trace, as CSV")
    parser.add_argument("--begin-hour", type=float, default=0.0, help="of the part that is run")
    parser.add_argument("--hours", type=float, default=24.0, help="its length")
    parser.add_argument("--start-s", type=float, help="of a new denoiser; by default the machine's")
    parser.add_argument("--picture", type=Path, help="where to draw the table")
    options = parser.parse_args()
    machine = MACHINES["h200"]
    if options.start_s is not None:
        machine = replace(machine, start_s=options.start_s)
    day = read_day(options.trace, NUM_FOLDS) if options.trace else made_up_day(VISITS, seed=1)
    requests = part_of(day, options.begin_hour * 3600, min(options.hours * 3600, 30 * DAY_S))
    outcomes = all_outcomes(requests, machine)
    name = f"{options.trace.stem} folded {NUM_FOLDS} times" if options.trace else "a made-up day"
    console = Console(width=120)
    console.print(table(f"{name}, {len(requests)} requests", requests, machine, outcomes))
    console.print(f"goals: GPU-seconds <= {GOAL_COST}, p95 <= {GOAL_P95} of the first row")
    if options.picture is not None:
        from benchmarks.autoscaling.picture import draw  # matplotlib, of the extra `train`

        draw(requests, outcomes, options.picture)


def all_outcomes(requests: Sequence[Request], machine: Machine) -> dict[str, Outcome]:
    """Return what comes of the requests with each system."""
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        running = {
            name: pool.submit(system.outcome, requests, machine) for name, system in SYSTEMS.items()
        }
        return {name: future.result() for name, future in running.items()}


def table(
    title: str, requests: Sequence[Request], machine: Machine, outcomes: Mapping[str, Outcome]
) -> Table:
    """Return cost and latencies of each system, and as shares of the first one's."""
    text = f"{title}, {machine.name}, a denoiser starts in {machine.start_s:g} s"
    result = Table(title=text, title_justify="left")
    result.add_column("")
    for heading in ("GPU-s per picture", "p50 s", "p95 s", "p99 s", "changes"):
        result.add_column(heading, justify="right")
    first = next(iter(outcomes.values()))
    for name, each in outcomes.items():
        figures = [
            f"{of(each):.1f} ({of(each) / of(first):.2f})"
            for of in (
                lambda outcome: outcome.denoiser_s / num_images(requests),
                lambda outcome: percentile(outcome.latencies_s, 0.5),
                lambda outcome: percentile(outcome.latencies_s, 0.95),
                lambda outcome: percentile(outcome.latencies_s, 0.99),
            )
        ]
        result.add_row(name, *figures, str(each.num_decisions))
    return result


if __name__ == "__main__":
    main()
