"""The engine beside simpler loops, on the embedded model and real arithmetic: `make bench-engine`.

    python -m benchmarks.engine [--jobs N] [--load X] [--turns N] [--picture FILE]

Pictures of mixed sizes and steps come at random, faster than one at a time can serve them. Each
loop gets the same ones, in turns, there and back. Their arrivals are on a clock that moves by the
processor time of the choices and steps that are really made, on one thread, so that what else the
machine does counts little; how fast they come goes by what one at a time took on that clock, before
the turns. Shown are pictures per second and latencies: the medians of all turns, and the median of
the ratios of ours to this in the same turn.
"""

import argparse
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from statistics import fmean, median

import torch
from rich.console import Console
from rich.table import Table

from serve_app.config import EMBEDDED_MODEL_DIR, EngineConfig
from serve_app.engine.cost_model import CostModel
from serve_app.engine.job import Job, text_to_image_job
from serve_app.engine.policies import policy_named
from serve_app.engine.runner import Ran, Runner
from serve_app.engine.scheduler import Ageing, Rules, Scheduler
from serve_app.engine.token_budget import measure_token_budget
from serve_app.engine.transformers import Transformers
from serve_app.messages import DenoiseParams, PromptEmbeds, Size
from serve_app.stages.text_encoder import TextEncoderStage
from serve_app.stages.transformer import TransformerStage

SIZES = {Size(256, 256): 50, Size(384, 256): 30, Size(512, 512): 20}
STEPS = (8, 16, 28, 32)
MAX_BATCH = 8
CONFIG = EngineConfig()  # production's own, where no file says otherwise
OURS, BATCHES, ALONE = "ours", f"batches of {MAX_BATCH}, run to completion", "one at a time"
GOAL_RATE, GOAL_MEAN = 1.25, 0.5  # ours ÷ batches

Pick = Callable[[float], Sequence[Job]]


class OurLoop:
    """The production scheduler, with the rules of production's default."""

    def __init__(self, cost_model: CostModel, token_budget: int) -> None:
        self._cost_model = cost_model
        policy = policy_named(CONFIG.policy, cost_model)
        ageing = Ageing(CONFIG.starved_after_s, CONFIG.starved_share)
        self._scheduler: Scheduler[Job] = Scheduler(cost_model, Rules(policy, token_budget, ageing))
        self.remove = self._scheduler.remove
        self.pick: Pick = self._scheduler.pick

    def add(self, job: Job) -> None:
        """Take a job in; it is due as the engine says."""
        job.deadline_at = job.arrived_at + CONFIG.slo_factor * self._cost_model.solo_s(job)
        self._scheduler.add(job)

    def learn(self, ran: Sequence[Ran]) -> None:
        """Predict better from now on, as the engine does after each step."""
        for one in ran:
            one.teach(self._cost_model)


class BatchLoop:
    """Batches of pictures alike, first come, first served, each run to its last picture's end."""

    def __init__(self, max_batch: int) -> None:
        self._max_batch = max_batch
        self._waiting: list[Job] = []
        self._batch: list[Job] = []

    def add(self, job: Job) -> None:
        """Take a job in."""
        self._waiting.append(job)

    def learn(self, ran: Sequence[Ran]) -> None:
        """Do nothing: it predicts nothing."""

    def remove(self, job: Job) -> None:
        """Forget a job that is done."""
        self._batch.remove(job)

    def pick(self, now: float) -> Sequence[Job]:
        """Return what is left of the batch, or a new one once it is done."""
        if not self._batch and self._waiting:
            alike = [job for job in self._waiting if job.num_tokens == self._waiting[0].num_tokens]
            self._batch = alike[: self._max_batch]
            self._waiting = [job for job in self._waiting if job not in self._batch]
        return list(self._batch)


Loop = OurLoop | BatchLoop


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one loop and one turn, or ratios of such.

    Attributes:
        rate: Pictures per second, until the last is done.
        mean_s: Of the latencies, in seconds from a picture's arrival.
        p95_s: The same, of which one in twenty takes longer.
    """

    rate: float
    mean_s: float
    p95_s: float

    @classmethod
    def of(cls, latencies_s: Sequence[float], end_s: float) -> "Figures":
        """Return the figures of pictures of which the last was done at `end_s`."""
        p95_s = sorted(latencies_s)[int(0.95 * len(latencies_s))]
        return cls(len(latencies_s) / end_s, fmean(latencies_s), p95_s)

    def over(self, other: "Figures") -> "Figures":
        """Return each figure as a multiple of the other's."""
        return Figures(self.rate / other.rate, self.mean_s / other.mean_s, self.p95_s / other.p95_s)


Turns = Mapping[str, Sequence[Figures]]  # by the loop's name


def main() -> None:
    """Print one table, its conditions and the goals."""
    options = parsed()
    torch.set_num_threads(1)
    transformer = TransformerStage.load(EMBEDDED_MODEL_DIR, torch.float32, torch.device("cpu"))
    cost_model, transformers = CostModel(1e-11), Transformers()
    token_budget = measure_token_budget(transformer, transformers.of(transformer), cost_model)
    loops: dict[str, Callable[[], Loop]] = {
        OURS: lambda: OurLoop(cost_model, token_budget),
        BATCHES: lambda: BatchLoop(MAX_BATCH),
        ALONE: lambda: BatchLoop(1),
    }
    make = job_maker(transformer)
    runner = Runner(transformers)
    at_once = [make(number) for number in range(options.jobs)]
    alone_s = 1 / figures(BatchLoop(1), runner, at_once).rate

    def run(name: str) -> Figures:
        return figures(loops[name](), runner, coming(make, options.jobs, alone_s / options.load))

    turns = in_turns(list(loops), run, options.turns)
    console = Console(width=120, highlight=False)
    console.print(table(turns))
    console.print(goals(turns))
    console.print(
        f"{options.jobs} pictures at a load of {options.load:g}, {options.turns} turns of each,"
        f" token budget {token_budget}, {1000 * alone_s:.0f} ms a picture alone"
    )
    if options.picture is not None:
        from benchmarks.bars import draw_bars  # matplotlib, of the extra `train`

        # Ours is the first, in a colour of its own.
        colors = ["C0", *["C7"] * (len(loops) - 1)]
        draw_bars(panels(medians(turns)), options.picture, height_inches=2.6, colors=colors)


def parsed() -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(
        prog="engine", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=60)
    parser.add_argument("--load", type=float, default=3.0, help="of one picture at a time")
    parser.add_argument("--turns", type=int, default=3, help="of each loop")
    parser.add_argument("--picture", type=Path, help="where to draw the table")
    return parser.parse_args()


def job_maker(transformer: TransformerStage) -> Callable[[int], Job]:
    """Return what makes the job of a number: always the same one."""
    encoder = TextEncoderStage.load(EMBEDDED_MODEL_DIR, torch.float32, torch.device("cpu"))
    embeds: PromptEmbeds = encoder.encode("a red circle on a blue background")

    def make(number: int) -> Job:
        rng = random.Random(number)  # noqa: S311 - no secret
        canvas = rng.choices(list(SIZES), list(SIZES.values()))[0]
        params = DenoiseParams("bench", number, canvas, number, rng.choice(STEPS), 4.5)
        return text_to_image_job(transformer, embeds, params)

    return make


def coming(make: Callable[[int], Job], num_jobs: int, gap_s: float) -> list[Job]:
    """Return new jobs by their arrival, in seconds, so far apart on average: always the same."""
    rng = random.Random(0)  # noqa: S311 - no secret
    jobs, arrival_s = [make(number) for number in range(num_jobs)], 0.0
    for job in jobs:
        arrival_s += rng.expovariate(1 / gap_s)
        job.arrived_at = arrival_s
    return jobs


def in_turns(names: Sequence[str], run: Callable[[str], Figures], num_turns: int) -> Turns:
    """Return what `run` said of each name in each turn: A B C, C B A, A B C and so on."""
    turns: dict[str, list[Figures]] = {name: [] for name in names}
    for turn in range(num_turns):
        for name in names if turn % 2 == 0 else reversed(names):
            turns[name].append(run(name))
    return turns


def figures(loop: Loop, runner: Runner, jobs: Sequence[Job]) -> Figures:
    """Run all jobs, which are in the order of their arrival; return what came of it."""
    waiting, now, latencies_s = list(jobs), 0.0, list[float]()
    while len(latencies_s) < len(jobs):
        started = time.thread_time()
        while waiting and waiting[0].arrived_at <= now:
            loop.add(waiting.pop(0))
        batch = loop.pick(now)
        if not batch:
            now = waiting[0].arrived_at
            continue
        stepped = time.thread_time()
        ran, step_s = runner.step(batch), time.thread_time() - stepped
        # One transformer runs all, so what it took on this clock is what the step took.
        loop.learn([replace(one, seconds=step_s) for one in ran])
        now += time.thread_time() - started
        for job in batch:
            if job.is_done:
                loop.remove(job)
                latencies_s.append(now - job.arrived_at)
    return Figures.of(latencies_s, now)


def medians(turns: Turns) -> dict[str, Figures]:
    """Return the median of each figure of each loop."""
    return {name: _median(of) for name, of in turns.items()}


def ratios(turns: Turns) -> dict[str, Figures]:
    """Return the median of ours ÷ each loop's in the same turn."""
    return {name: _median(_by_turn(turns, name)) for name in turns}


def _by_turn(turns: Turns, name: str) -> list[Figures]:
    return [ours.over(this) for ours, this in zip(turns[OURS], turns[name], strict=True)]


def _median(of: Sequence[Figures]) -> Figures:
    return Figures(*(median(getattr(one, field.name) for one in of) for field in fields(Figures)))


def table(turns: Turns) -> Table:
    """Return the table of all loops."""
    shown = Table(title="the same pictures, each loop (ours ÷ this)", title_justify="left")
    for heading in ("", "pictures/s", "mean latency", "p95 latency"):
        shown.add_column(heading, justify="right" if heading else "left")
    ratio_of = ratios(turns)
    for name, of in medians(turns).items():
        ratio = ratio_of[name]
        shown.add_row(
            name,
            f"{of.rate:.2f} ({ratio.rate:.2f})",
            f"{of.mean_s:.2f} s ({ratio.mean_s:.2f})",
            f"{of.p95_s:.2f} s ({ratio.p95_s:.2f})",
        )
    return shown


def goals(turns: Turns) -> str:
    """Return what was aimed at beside batches, what was reached, and in which turns how far."""
    ratio, by_turn = ratios(turns)[BATCHES], _by_turn(turns, BATCHES)
    rates = ", ".join(f"{one.rate:.2f}" for one in by_turn)
    means = ", ".join(f"{one.mean_s:.2f}" for one in by_turn)
    return (
        f"ours ÷ {BATCHES}, and by turn:\n"
        f"  pictures/s {ratio.rate:.2f} (goal >= {GOAL_RATE}): {rates}\n"
        f"  mean latency {ratio.mean_s:.2f} (goal <= {GOAL_MEAN}): {means}"
    )


def panels(of_each: Mapping[str, Figures]) -> dict[str, dict[str, float]]:
    """Return the panels of the picture by their titles: a figure of each loop."""
    return {
        "pictures per second": {in_lines(name): of.rate for name, of in of_each.items()},
        "mean latency, seconds": {in_lines(name): of.mean_s for name, of in of_each.items()},
        "p95 latency, seconds": {in_lines(name): of.p95_s for name, of in of_each.items()},
    }


def in_lines(name: str) -> str:
    """Return a loop's name as it stands beside its bar."""
    return name.replace(", ", ",\n")


if __name__ == "__main__":
    main()
