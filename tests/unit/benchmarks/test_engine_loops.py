"""Loops get the same pictures in turns, and are compared within a turn."""

from pathlib import Path

import pytest
import torch

from benchmarks.engine import (
    ALONE,
    BATCHES,
    OURS,
    BatchLoop,
    Figures,
    Loop,
    OurLoop,
    coming,
    figures,
    goals,
    in_turns,
    job_maker,
    medians,
    panels,
    ratios,
)
from serve_app.config import EMBEDDED_MODEL_DIR
from serve_app.engine.cost_model import CostModel
from serve_app.engine.runner import Runner
from serve_app.engine.transformers import Transformers
from serve_app.stages.transformer import TransformerStage

COST_MODEL = CostModel(1e-11)
TURNS = {
    OURS: [Figures(8.0, 1.0, 2.0), Figures(4.0, 2.0, 4.0), Figures(6.0, 1.5, 3.0)],
    BATCHES: [Figures(4.0, 2.0, 4.0), Figures(4.0, 4.0, 8.0), Figures(4.0, 6.0, 4.0)],
}


def test_loops_take_turns_there_and_back() -> None:
    asked: list[str] = []

    def run(name: str) -> Figures:
        asked.append(name)
        return Figures(float(len(asked)), 1.0, 1.0)

    turns = in_turns("ABC", run, 3)
    assert "".join(asked) == "ABCCBAABC"
    assert [one.rate for one in turns["B"]] == [2, 5, 8]


def test_a_ratio_is_the_median_of_those_within_a_turn() -> None:
    assert medians(TURNS)[OURS] == Figures(6.0, 1.5, 3.0)
    assert ratios(TURNS)[BATCHES] == Figures(1.5, 0.5, 0.5)
    assert ratios(TURNS)[OURS] == Figures(1.0, 1.0, 1.0)


def test_the_goals_stand_beside_what_was_reached() -> None:
    said = goals(TURNS)
    assert "pictures/s 1.50 (goal >= 1.25): 2.00, 1.00, 1.50" in said
    assert "mean latency 0.50 (goal <= 0.5): 0.50, 0.50, 0.25" in said


@pytest.mark.parametrize(
    "loop", [OurLoop(COST_MODEL, 512), BatchLoop(8), BatchLoop(1)], ids=[OURS, BATCHES, ALONE]
)
def test_a_loop_finishes_all_pictures(loop: Loop) -> None:
    transformer = TransformerStage.load(EMBEDDED_MODEL_DIR, torch.float32, torch.device("cpu"))
    jobs = coming(job_maker(transformer), 3, gap_s=0.05)
    found = figures(loop, Runner(Transformers()), jobs)
    assert all(job.is_done for job in jobs)
    assert 0 < found.mean_s <= found.p95_s
    assert isinstance(loop, BatchLoop) or COST_MODEL.is_taught


def test_the_picture_has_a_panel_for_each_figure(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="of the extra `train`")
    from benchmarks.bars import draw_bars

    draw_bars(panels(medians(TURNS)), tmp_path / "engine.png", height_inches=2.6)
    assert (tmp_path / "engine.png").read_bytes().startswith(b"\x89PNG")
