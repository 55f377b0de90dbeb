"""The engine beside simpler loops, on the embedded model and real arithmetic: `make bench-engine`.

    python -m benchmarks.engine [--jobs N] [--load X] [--rounds N] [--picture FILE]

Pictures of mixed sizes and steps are there all at once, which shows how many a second a loop makes;
then the same ones come at random, faster than one at a time can serve them, which shows how long
each takes. All loops run side by side, step by step, each on a clock that moves by the processor
time of the choices and steps that it really makes, on one thread; so what else the machine does
counts little. How fast pictures come goes by what one at a time took, before the rounds. Shown are
the medians of all rounds, and the median of the ratios of ours to this in the same round.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from rich.console import Console

from benchmarks.engine.courses import Course, run_side_by_side
from benchmarks.engine.figures import (
    ALONE,
    BATCHES,
    MAX_BATCH,
    OURS,
    Figures,
    Rounds,
    goals,
    medians,
    panels,
    table,
)
from benchmarks.engine.loops import BatchLoop, Loop, OurLoop
from benchmarks.engine.pictures import at_once, coming, job_maker
from serve_app.config import EMBEDDED_MODEL_DIR
from serve_app.engine.cost_model import CostModel
from serve_app.engine.job import Job
from serve_app.engine.runner import Runner
from serve_app.engine.token_budget import measure_token_budget
from serve_app.engine.transformers import Transformers
from serve_app.stages.transformer import TransformerStage

Loops = dict[str, Callable[[], Loop]]  # what makes each, by name


def main() -> None:
    """Print one table, its conditions and the goals."""
    options = parsed()
    torch.set_num_threads(1)
    transformer = TransformerStage.load(EMBEDDED_MODEL_DIR, torch.float32, torch.device("cpu"))
    cost_model, transformers = CostModel(1e-11), Transformers()
    token_budget = measure_token_budget(transformer, transformers.of(transformer), cost_model)
    loops: Loops = {
        OURS: lambda: OurLoop(cost_model, token_budget),
        BATCHES: lambda: BatchLoop(MAX_BATCH),
        ALONE: lambda: BatchLoop(1),
    }
    make, runner = job_maker(transformer), Runner(transformers)
    alone = courses({ALONE: loops[ALONE]}, runner, lambda: at_once(make, options.jobs))[ALONE]
    gap_s = 1 / alone.rate / options.load

    def one_round() -> dict[str, Figures]:
        first = courses(loops, runner, lambda: at_once(make, options.jobs))
        then = courses(loops, runner, lambda: coming(make, options.jobs, gap_s))
        return {name: Figures.of(first[name], then[name]) for name in loops}

    rounds = by_loop([one_round() for _ in range(options.rounds)])
    console = Console(width=120, highlight=False)
    console.print(table(rounds))
    console.print(goals(rounds))
    console.print(
        f"{options.jobs} pictures, at once and at a load of {options.load:g}; {options.rounds}"
        f" rounds; token budget {token_budget}; {1000 / alone.rate:.0f} ms a picture alone"
    )
    if options.picture is not None:
        draw(rounds, options.picture)


def parsed() -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(
        prog="engine", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=60)
    parser.add_argument("--load", type=float, default=3.0, help="of one picture at a time")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--picture", type=Path, help="where to draw the table")
    return parser.parse_args()


def courses(loops: Loops, runner: Runner, jobs: Callable[[], Sequence[Job]]) -> dict[str, Course]:
    """Run all loops side by side, each with jobs of its own; return how it went."""
    made = {name: Course(make_loop(), runner, jobs()) for name, make_loop in loops.items()}
    run_side_by_side(made.values())
    return made


def by_loop(rounds: Sequence[dict[str, Figures]]) -> Rounds:
    """Return the figures of each loop, round by round."""
    return {name: [of_round[name] for of_round in rounds] for name in rounds[0]}


def draw(rounds: Rounds, path: Path) -> None:
    """Draw the medians as bars: ours, which is the first, in a colour of its own."""
    from benchmarks.bars import draw_bars  # matplotlib, of the extra `train`

    colors = ["C0", *["C7"] * (len(rounds) - 1)]
    draw_bars(panels(medians(rounds)), path, height_inches=2.6, colors=colors)


if __name__ == "__main__":
    main()
