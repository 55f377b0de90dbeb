"""Autoscaling on work beside Ray Serve's default, on a virtual clock: `make bench-autoscale`.

    python -m benchmarks.autoscaling [--trace FILE] [--hours H] [--start-s S] [--picture FILE]

A made-up day, and the GenTD26 trace where it is at hand: the same requests come to our simulated
application (`serve_app.planning`) under either policy, and to monoliths as users have them today.
One denoiser may hold 16 pictures, as in configs/krea-8gpu.yaml, where no other number is given.
What is paid for is a replica from the decision to its end, start included, and the GPU that the
other stages share. Nothing is timed.
"""

import argparse
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from math import inf
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.autoscaling.days import TRACE, made_up_day, part_of, read_day
from benchmarks.autoscaling.figures import Figures, figures
from benchmarks.autoscaling.monolith import DENOISER_GB, DISK_GB_PER_S, PIPELINE_GB, as_monolith
from benchmarks.autoscaling.systems import STAGES_GPU, SYSTEMS
from serve_app.planning.machine import MACHINES, Machine
from serve_app.planning.traffic import Request

NUM_FOLDS = 10
VISITS = 1200.0
GOAL_COST, GOAL_P95 = 0.56, 0.5

Workloads = Mapping[str, Sequence[Request]]


def main() -> None:
    """Print a table for each workload."""
    options = parsed()
    machine = MACHINES["h200"]
    if options.start_s is not None:
        machine = replace(machine, start_s=options.start_s)
    console = Console(width=160, highlight=False)
    if not options.trace.exists():
        console.print(f"There is no {options.trace}: only the made-up day is replayed.")
    workloads = {
        name: part_of(requests, options.begin_hour * 3600, options.hours * 3600)
        for name, requests in all_days(options.trace)
    }
    console.print(assumptions(machine), soft_wrap=True)
    found = all_figures(workloads, machine)
    for name, of_each in found.items():
        console.print(table(f"{name}, {len(workloads[name])} requests", of_each))
    console.print(f"goals: GPU-seconds <= {GOAL_COST}, p95 <= {GOAL_P95}")
    if options.picture is not None:
        from benchmarks.autoscaling.picture import draw  # matplotlib, of the extra `train`

        draw(next(iter(found.values())), options.picture)


def parsed() -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(
        prog="autoscaling",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--trace", type=Path, default=TRACE, help="the GenTD26 trace, as CSV")
    parser.add_argument("--begin-hour", type=float, default=0.0, help="of the part that is run")
    parser.add_argument("--hours", type=float, default=inf, help="its length; by default all")
    parser.add_argument("--start-s", type=float, help="of a new denoiser; by default the machine's")
    parser.add_argument("--picture", type=Path, help="where to draw the made-up day's table")
    return parser.parse_args()


def all_days(trace: Path) -> Iterator[tuple[str, list[Request]]]:
    """Yield the requests of each workload, by name; a trace's only if it is there."""
    yield "a made-up day", made_up_day(VISITS, seed=1)
    if trace.exists():
        yield f"{trace.stem} folded {NUM_FOLDS} times", read_day(trace, NUM_FOLDS)


def all_figures(workloads: Workloads, machine: Machine) -> dict[str, dict[str, Figures]]:
    """Return what comes of each workload with each system."""
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        running = {
            workload: {
                name: pool.submit(system.outcome, requests, machine)
                for name, system in SYSTEMS.items()
            }
            for workload, requests in workloads.items()
        }
        return {
            workload: {
                name: figures(workloads[workload], future.result(), SYSTEMS[name].shared_gpu)
                for name, future in futures.items()
            }
            for workload, futures in running.items()
        }


def assumptions(machine: Machine) -> str:
    """Return what the tables take for granted."""
    return (
        f"A denoiser of {machine.name} starts in {machine.start_s:g} s, a monolith in"
        f" {as_monolith(machine).start_s:.1f} s: it reads {PIPELINE_GB} GB instead of"
        f" {DENOISER_GB} GB at {DISK_GB_PER_S:g} GB/s. GPU-seconds of stages include"
        f" {STAGES_GPU:g} GPU for the text encoder and the VAE, all the time; in brackets, shares"
        " of the monolith's figure and of the stages' under Ray's default."
    )


def table(title: str, of_each: Mapping[str, Figures]) -> Table:
    """Return cost and latencies of each system, and as shares of the first two."""
    result = Table(title=title, title_justify="left")
    result.add_column("")
    for heading in ("GPU-s per picture", "denoisers alone", "p50 s", "p95 s", "p99 s", "changes"):
        result.add_column(heading, justify="right")
    monolith, stages = list(of_each.values())[:2]
    for name, each in of_each.items():
        cells = (
            f"{ours:.1f} ({ours / first:.2f}, {ours / second:.2f})"
            for ours, first, second in zip(
                measured(each), measured(monolith), measured(stages), strict=True
            )
        )
        result.add_row(name, *cells, str(each.num_decisions))
    return result


def measured(each: Figures) -> tuple[float, ...]:
    """Return the figures that are compared, in the order of the columns."""
    return each.gpu_s, each.denoiser_s, each.p50_s, each.p95_s, each.p99_s


if __name__ == "__main__":
    main()
