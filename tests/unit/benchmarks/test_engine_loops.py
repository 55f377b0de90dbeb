"""Loops get the same pictures side by side, and are compared within a round."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from benchmarks.engine.courses import Course, run_side_by_side
from benchmarks.engine.figures import (
    ALONE,
    BATCHES,
    OURS,
    Figures,
    goals,
    medians,
    panels,
    ratios,
)
from benchmarks.engine.loops import BatchLoop, Loop, OurLoop
from benchmarks.engine.pictures import at_once, coming, job_maker
from serve_app.config import EMBEDDED_MODEL_DIR
from serve_app.engine.cost_model import CostModel
from serve_app.engine.job import Job
from serve_app.engine.runner import Runner
from serve_app.engine.transformers import Transformers
from serve_app.stages.transformer import TransformerStage

COST_MODEL = CostModel(1e-11)
ROUNDS = {
    OURS: [
        Figures(8.0, 3.0, 1.0, 2.0),
        Figures(4.0, 3.0, 2.0, 4.0),
        Figures(6.0, 3.0, 1.5, 3.0),
    ],
    BATCHES: [
        Figures(4.0, 2.0, 2.0, 4.0),
        Figures(4.0, 2.0, 4.0, 8.0),
        Figures(4.0, 2.0, 6.0, 4.0),
    ],
}


@pytest.fixture(scope="module")
def make() -> Callable[[int], Job]:
    transformer = TransformerStage.load(EMBEDDED_MODEL_DIR, torch.float32, torch.device("cpu"))
    return job_maker(transformer)


def course(latencies_s: list[float], end_s: float) -> Course:
    over = Course(BatchLoop(1), Runner(Transformers()), [])
    over.latencies_s, over.now = latencies_s, end_s
    return over


def test_figures_are_of_those_at_once_and_of_those_that_come() -> None:
    first, then = course([1.0, 2.0, 3.0, 4.0], 4.0), course([0.5, 1.5], 10.0)
    assert Figures.of(first, then) == Figures(1.0, 0.2, 1.0, 1.5)


def test_a_ratio_is_the_median_of_those_within_a_round() -> None:
    assert medians(ROUNDS)[OURS] == Figures(6.0, 3.0, 1.5, 3.0)
    assert ratios(ROUNDS)[BATCHES] == Figures(1.5, 1.5, 0.5, 0.5)
    assert ratios(ROUNDS)[OURS] == Figures(1.0, 1.0, 1.0, 1.0)


def test_the_goals_stand_beside_what_was_reached() -> None:
    said = goals(ROUNDS)
    assert "at once: 1.50 (goal >= 1.25): 2.00, 1.00, 1.50" in said
    assert "mean latency as they come: 0.50 (goal <= 0.5): 0.50, 0.50, 0.25" in said


@pytest.mark.parametrize(
    "loop", [OurLoop(COST_MODEL, 512), BatchLoop(8), BatchLoop(1)], ids=[OURS, BATCHES, ALONE]
)
def test_a_loop_finishes_all_pictures(loop: Loop, make: Callable[[int], Job]) -> None:
    jobs = coming(make, 3, gap_s=0.05)
    one = Course(loop, Runner(Transformers()), jobs)
    run_side_by_side([one])
    assert all(job.is_done for job in jobs)
    assert len(one.latencies_s) == 3
    assert 0 < max(one.latencies_s) <= one.now
    assert isinstance(loop, BatchLoop) or COST_MODEL.is_taught


def test_the_one_that_is_behind_makes_the_next_step(make: Callable[[int], Job]) -> None:
    runner, both, ahead_s = Runner(Transformers()), list[Course](), list[float]()

    class Watched(Course):
        def step(self) -> None:
            ahead_s.append(self.now - min(one.now for one in both if not one.is_over))
            super().step()

    both.extend(Watched(BatchLoop(1), runner, at_once(make, 1)) for _ in range(2))
    run_side_by_side(both)
    assert both[0].is_over
    assert both[1].is_over
    assert set(ahead_s) == {0}


def test_the_picture_has_a_panel_for_each_figure(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="of the extra `train`")
    from benchmarks.bars import draw_bars

    draw_bars(panels(medians(ROUNDS)), tmp_path / "engine.png", height_inches=2.6)
    assert (tmp_path / "engine.png").read_bytes().startswith(b"\x89PNG")
