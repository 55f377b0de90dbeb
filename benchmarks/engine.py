"""The engine beside simpler loops, on the embedded model and real arithmetic: `make bench-engine`.

    python -m benchmarks.engine [--jobs N] [--load X]

Pictures of mixed sizes and steps come at random, faster than one at a time can serve them. Each
loop gets the same ones. Their arrivals are on a clock that moves by the processor time of the steps
that are really run, on one thread, so that what else the machine does counts little. Shown are
pictures per second and latencies, each also as a ratio to ours.
"""

import argparse
import random
import time
from collections.abc import Callable, Sequence
from statistics import fmean

import torch
from rich.console import Console
from rich.table import Table

from serve_app.config import EMBEDDED_MODEL_DIR, EngineConfig
from serve_app.engine.cost_model import CostModel
from serve_app.engine.job import Job, text_to_image_job
from serve_app.engine.policies import policy_named
from serve_app.engine.runner import Runner
from serve_app.engine.scheduler import Ageing, Rules, Scheduler
from serve_app.engine.token_budget import measure_token_budget
from serve_app.engine.transformers import Transformers
from serve_app.messages import DenoiseParams, PromptEmbeds, Size
from serve_app.stages.text_encoder import TextEncoderStage
from serve_app.stages.transformer import TransformerStage

SIZES = {Size(256, 256): 50, Size(384, 256): 30, Size(512, 512): 20}
STEPS = (8, 16, 28, 32)
MAX_BATCH = 8
NUM_ROUNDS = 3  # in turns; the median run of each loop is shown
SLO_FACTOR = EngineConfig().slo_factor

Pick = Callable[[float], Sequence[Job]]


class OurLoop:
    """The production scheduler."""

    def __init__(self, cost_model: CostModel, token_budget: int) -> None:
        self._cost_model = cost_model
        policy = policy_named("deadline", cost_model)
        ageing = Ageing(after_s=60.0, share=0.05)
        self._scheduler: Scheduler[Job] = Scheduler(cost_model, Rules(policy, token_budget, ageing))
        self.remove = self._scheduler.remove
        self.pick: Pick = self._scheduler.pick

    def add(self, job: Job) -> None:
        """Take a job in; it is due as the engine says."""
        job.deadline_at = job.arrived_at + SLO_FACTOR * self._cost_model.solo_s(job)
        self._scheduler.add(job)


class BatchLoop:
    """Batches of pictures alike, first come, first served, each run to its last picture's end."""

    def __init__(self, max_batch: int) -> None:
        self._max_batch = max_batch
        self._waiting: list[Job] = []
        self._batch: list[Job] = []

    def add(self, job: Job) -> None:
        """Take a job in."""
        self._waiting.append(job)

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


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(
        prog="engine", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=60)
    parser.add_argument("--load", type=float, default=3.0, help="of one picture at a time")
    options = parser.parse_args()
    torch.set_num_threads(1)
    transformer = TransformerStage.load(EMBEDDED_MODEL_DIR, torch.float32, torch.device("cpu"))
    cost_model = CostModel(1e-11)
    transformers = Transformers()
    token_budget = measure_token_budget(transformer, transformers.of(transformer), cost_model)
    loops: dict[str, Callable[[], OurLoop | BatchLoop]] = {
        "ours": lambda: OurLoop(cost_model, token_budget),
        f"batches of {MAX_BATCH}, run to completion": lambda: BatchLoop(MAX_BATCH),
        "one at a time": lambda: BatchLoop(1),
    }
    make = job_maker(transformer)
    mean_s = fmean(cost_model.solo_s(make(number)) for number in range(options.jobs))
    gap_s = mean_s / options.load
    runs: dict[str, list[list[float]]] = {name: [] for name in loops}
    for _ in range(NUM_ROUNDS):
        for name, loop in loops.items():
            runs[name].append(latencies(loop(), Runner(transformers), make, options.jobs, gap_s))
    Console().print(table({name: sorted(of, key=max)[len(of) // 2] for name, of in runs.items()}))
    Console().print(f"token budget {token_budget}, {1000 * mean_s:.0f} ms a picture alone")


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


def latencies(
    loop: OurLoop | BatchLoop,
    runner: Runner,
    make: Callable[[int], Job],
    num_jobs: int,
    gap_s: float,
) -> list[float]:
    """Run all jobs; return when each was done, counted from its arrival, and at last the end."""
    rng = random.Random(0)  # noqa: S311 - no secret
    coming = [make(number) for number in range(num_jobs)]
    arrival = 0.0
    for job in coming:
        arrival += rng.expovariate(1 / gap_s)
        job.arrived_at = arrival
    now = 0.0
    done: list[float] = []
    while len(done) < num_jobs:
        while coming and coming[0].arrived_at <= now:
            loop.add(coming.pop(0))
        batch = loop.pick(now)
        if not batch:
            now = coming[0].arrived_at
            continue
        started = time.thread_time()
        runner.step(batch)
        now += time.thread_time() - started
        for job in batch:
            if job.is_done:
                loop.remove(job)
                done.append(now - job.arrived_at)
    return [*done, now]


def table(runs: dict[str, list[float]]) -> Table:
    """Return the table of all loops; the last figure of a run is when it ended."""
    shown = Table(title="the same pictures, each loop (ours / this)", title_justify="left")
    for heading in ("", "pictures/s", "mean latency", "p95 latency"):
        shown.add_column(heading, justify="right" if heading else "left")
    figures = {}
    for name, (*done, end) in runs.items():
        p95 = sorted(done)[int(0.95 * len(done))]
        figures[name] = (len(done) / end, fmean(done), p95)
    ours = figures["ours"]
    for name, (rate, mean, p95) in figures.items():
        shown.add_row(
            name,
            f"{rate:.2f} ({ours[0] / rate:.2f})",
            f"{mean:.2f} s ({ours[1] / mean:.2f})",
            f"{p95:.2f} s ({ours[2] / p95:.2f})",
        )
    return shown


if __name__ == "__main__":
    main()
