"""The production scheduler beside what others do, on a virtual clock: `make bench-scheduler`.

    python -m benchmarks.scheduling [--quick] [--trace FILE] [--picture FILE]

Nothing is timed but the scheduler itself: steps take what `machine.py` says an H100 takes. First
the highest load at which nine of ten requests are in time, as a share of the load that would keep
every denoiser busy; then how all fare at a load of .85; then the requests of a trace, if it is at
hand; at last the processor time of a choice. Everything is printed as what it is and as a ratio.
"""

import argparse
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.scheduling import ours
from benchmarks.scheduling.choice import choice_ms
from benchmarks.scheduling.measures import Quality, Scenario, Serve, quality
from benchmarks.scheduling.monoliths import BatchQueue, DeadlineQueue, FcfsQueue, serve_by
from benchmarks.scheduling.workload import Load, read_trace

OURS = "deadline"
SYSTEMS: Mapping[str, Serve] = {
    "FCFS monolith": partial(serve_by, FcfsQueue),
    "batching monolith": partial(serve_by, BatchQueue),
    "EDF monolith": partial(serve_by, DeadlineQueue),
    "fcfs": partial(ours.serve, "fcfs"),
    "srpt": partial(ours.serve, "srpt"),
    OURS: partial(ours.serve, OURS),
}
MIXED, SINGLE = Load("mixed sizes", True, 1.0), Load("1024x1024 only", False, 1.0)
SCENARIOS = (
    Scenario(MIXED, 1, 3.0, 2500),
    Scenario(SINGLE, 1, 3.0, 2500),
    Scenario(SINGLE, 1, 2.0, 2500),
    Scenario(MIXED, 8, 3.0, 600),
    Scenario(replace(MIXED, variation=4.0), 8, 3.0, 900),
)
JUDGED_AT = 0.85
NUM_SHARING = 27
TRACE = Path("../shared/traces/gentd26_requests.csv")
TRACE_SPEEDS = (40.0, 80.0, 160.0)  # the trace's days are mostly quiet


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        prog="scheduling", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a fifth of the simulated time")
    parser.add_argument(
        "--trace", type=Path, default=TRACE, help="the Alibaba GenTD26 trace's requests"
    )
    parser.add_argument("--picture", type=Path, help="where to draw the first table")
    options = parser.parse_args()
    factor = 0.2 if options.quick else 1.0
    scenarios = [replace(each, horizon_s=each.horizon_s * factor) for each in SCENARIOS]
    console = Console(width=140)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        capacities = all_capacities(pool, scenarios)
        console.print(capacity_table(capacities))
        console.print(quality_table("at a load of .85", all_qualities(pool, scenarios[0])))
        if not options.trace.exists():
            console.print(f"{options.trace}: trace not present")
        else:
            for title, qualities in trace_qualities(pool, options.trace):
                console.print(quality_table(title, qualities))
    for num_jobs in (64, 1024):
        small_ms = choice_ms(num_jobs, NUM_SHARING)
        console.print(
            f"one choice among {num_jobs} jobs: {choice_ms(num_jobs):.3f} ms of processor;"
            f" with {NUM_SHARING} small ones in a step {small_ms:.3f} ms"
        )
    if options.picture is not None:
        from benchmarks.scheduling.picture import draw  # matplotlib, of the extra `train`

        draw(capacities, options.picture)


def all_capacities(
    pool: ProcessPoolExecutor, scenarios: Iterable[Scenario]
) -> dict[str, dict[str, float]]:
    """Return each system's capacity in each scenario."""
    running = {
        scenario.name: {
            name: pool.submit(scenario.capacity, serve) for name, serve in SYSTEMS.items()
        }
        for scenario in scenarios
    }
    return {
        scenario: {name: future.result() for name, future in futures.items()}
        for scenario, futures in running.items()
    }


def all_qualities(pool: ProcessPoolExecutor, scenario: Scenario) -> dict[str, Quality]:
    """Return how each system serves a scenario's requests at a load of .85."""
    rate = JUDGED_AT * scenario.load.saturation_rate(scenario.num_denoisers)
    requests = scenario.load.requests(rate, scenario.horizon_s, seed=1)
    running = {
        name: pool.submit(serve, requests, scenario.num_denoisers, scenario.slo_factor)
        for name, serve in SYSTEMS.items()
    }
    return {
        name: quality(requests, future.result(), scenario.slo_factor)
        for name, future in running.items()
    }


def trace_qualities(
    pool: ProcessPoolExecutor, path: Path
) -> Iterable[tuple[str, dict[str, Quality]]]:
    """Yield how each system serves a trace's requests on eight GPUs, at several speeds."""
    for speed in TRACE_SPEEDS:
        requests = read_trace(path)(speed)
        running = {name: pool.submit(serve, requests, 8, 3.0) for name, serve in SYSTEMS.items()}
        yield (
            f"{path.stem}, text to image, {speed:g} times as fast, 8 GPUs",
            {name: quality(requests, future.result(), 3.0) for name, future in running.items()},
        )


def capacity_table(capacities: Mapping[str, Mapping[str, float]]) -> Table:
    """Return loads with 90 % in time, and ours as a multiple of each."""
    table = Table(title="load with 90 % in time (deadline / this)", title_justify="left")
    table.add_column("")
    for name in SYSTEMS:
        table.add_column(name, justify="right")
    for scenario, loads in capacities.items():
        best = loads[OURS]
        cells = [f"{load:.2f} ({best / max(load, 1e-9):.2f})" for load in loads.values()]
        table.add_row(scenario, *cells)
    return table


def quality_table(title: str, qualities: Mapping[str, Quality]) -> Table:
    """Return how well each system served the same requests; times also as ratios to FCFS's."""
    table = Table(title=title, title_justify="left")
    headings = ("in time", "of the work", "mean", "p50", "p99", "p99 slowdown", "max slowdown")
    for heading in ("", *headings):
        table.add_column(heading, justify="right" if heading else "left")
    first = next(iter(qualities.values()))
    for name, each in qualities.items():
        times = [
            f"{value:.1f} ({value / of_first:.2f})"
            for value, of_first in (
                (each.mean_s, first.mean_s),
                (each.p50_s, first.p50_s),
                (each.p99_s, first.p99_s),
                (each.p99_slowdown, first.p99_slowdown),
                (each.max_slowdown, first.max_slowdown),
            )
        ]
        table.add_row(name, f"{each.in_time:.3f}", f"{each.work_in_time:.3f}", *times)
    return table


if __name__ == "__main__":
    main()
