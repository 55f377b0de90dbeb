"""What HTTP, the API and the DAG cost beside plain FluxPipelines: `make bench-dag`.

    python -m benchmarks.dag [--quick] [--picture FILE]

All systems run at once and take turns, so that whatever else the machine does slows all alike.
First the latency of a request whose stages do nothing; then that of a picture, alone, as a multiple
of FluxPipeline's in the benchmark's own process; then pictures per second with several clients.
Everything runs on two threads of one machine: the embedded model, 28 steps.
"""

import argparse
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.dag.systems import Ask, Systems, running_systems

PROMPT = "a red circle on a blue background"
NUM_STEPS = 28
NUM_CLIENTS = 4
OURS = "krea-serve"
NULL_GOAL_MS = 25  # median, on two cores


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        prog="dag", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a third of the requests")
    parser.add_argument("--picture", type=Path, help="where to draw the latencies and rates")
    options = parser.parse_args()
    num_rounds = 3 if options.quick else 9
    console = Console(width=100)
    with running_systems() as systems:
        console.print(null_table(null_latencies_ms(systems.null, 20 * num_rounds)))
        latencies = {side: latencies_s(by_name(systems), side, num_rounds) for side in (512, 1024)}
        for side, of_systems in latencies.items():
            console.print(latency_table(side, of_systems))
        rates = pictures_per_s(by_name(systems), num_rounds)
        console.print(rate_table(rates))
    if options.picture is not None:
        from benchmarks.dag.picture import draw  # matplotlib, of the extra `train`

        draw({side: medians(of) for side, of in latencies.items()}, medians(rates), options.picture)


def by_name(systems: Systems) -> dict[str, Ask]:
    """Return the systems that make pictures, ours first."""
    return {
        OURS: systems.ours,
        "FluxPipeline in Ray Serve": systems.serve_monolith,
        "FluxPipeline behind uvicorn": systems.uvicorn_monolith,
        "FluxPipeline, no server": systems.bare,
    }


def body_of(side: int, seed: int) -> dict[str, Any]:
    """Return a request for a square picture."""
    size = {"size": f"{side}x{side}"}
    return {"prompt": PROMPT, "num_inference_steps": NUM_STEPS, "seed": seed} | size


def seconds(work: Callable[[], object]) -> float:
    """Return what some work took."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def null_latencies_ms(ask: Ask, count: int) -> list[float]:
    """Return the latencies of requests, one after the other, for which nothing is calculated."""
    taken = [seconds(partial(ask, body_of(512, seed))) for seed in range(count + 10)]
    return [1000 * value for value in taken[10:]]


def latencies_s(asks: Mapping[str, Ask], side: int, num_rounds: int) -> dict[str, list[float]]:
    """Return each system's latencies: one picture at a time, all systems taking turns."""
    taken: dict[str, list[float]] = {name: [] for name in asks}
    for seed in range(num_rounds + 1):
        for name, ask in asks.items():
            taken[name].append(seconds(partial(ask, body_of(side, seed))))
    return {name: values[1:] for name, values in taken.items()}


def pictures_per_s(asks: Mapping[str, Ask], num_rounds: int) -> dict[str, list[float]]:
    """Return each server's pictures per second with several clients, the servers taking turns."""
    rates: dict[str, list[float]] = {name: [] for name in asks if "no server" not in name}
    count = 4 * NUM_CLIENTS
    for _ in range(max(1, num_rounds // 3)):
        for name, of_name in rates.items():
            of_name.append(count / seconds(partial(flood, asks[name], count)))
    return rates


def flood(ask: Ask, count: int) -> None:
    """Ask for pictures from several clients at once."""
    with ThreadPoolExecutor(NUM_CLIENTS) as clients:
        list(clients.map(lambda seed: ask(body_of(512, seed)), range(count)))


def medians(values: Mapping[str, list[float]]) -> dict[str, float]:
    """Return each system's median."""
    return {name: median(of) for name, of in values.items()}


def null_table(taken_ms: list[float]) -> Table:
    """Return percentiles of the latency without any arithmetic."""
    cuts = quantiles(taken_ms, n=100)
    table = Table(title="HTTP, API and DAG around stages that do nothing", title_justify="left")
    for heading in (f"p50 (goal <= {NULL_GOAL_MS} ms)", "p90", "p99"):
        table.add_column(heading, justify="right")
    table.add_row(*(f"{cuts[percent - 1]:.1f} ms" for percent in (50, 90, 99)))
    return table


def latency_table(side: int, taken: Mapping[str, list[float]]) -> Table:
    """Return latencies, and each as a multiple of the last system's."""
    title = f"one picture of {side}x{side} at a time (÷ FluxPipeline, no server)"
    table = Table("", title=title, title_justify="left")
    table.add_column("median", justify="right")
    table.add_column("÷ bare", justify="right")
    times = medians(taken)
    bare = list(times.values())[-1]
    for name, value in times.items():
        table.add_row(name, f"{value:.2f} s", f"{value / bare:.2f}")
    return table


def rate_table(rates: Mapping[str, list[float]]) -> Table:
    """Return pictures per second, and ours as a multiple of each."""
    title = f"{NUM_CLIENTS} clients, 512x512 (ours / this)"
    table = Table("", title=title, title_justify="left")
    table.add_column("pictures/s", justify="right")
    table.add_column("ours ÷ this", justify="right")
    per_s = medians(rates)
    for name, value in per_s.items():
        table.add_row(name, f"{value:.2f}", f"{per_s[OURS] / value:.2f}")
    return table


if __name__ == "__main__":
    main()
