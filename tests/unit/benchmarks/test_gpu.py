"""The benchmark runs where there is no GPU, and its table has every line."""

from contextlib import redirect_stdout
from io import StringIO

import pytest
import torch

from benchmarks.gpu import main
from benchmarks.rows import HEADINGS

SMALL = ["--tiny", "--sides", "256", "--rounds", "1", "--repeats", "1", "--no-compile"]

WEIGHTS = [("T5, weights", "float32"), ("CLIP, weights", "float32"), ("VAE, weights", "float32")]
STAGES = [("T5", "", "float32"), ("CLIP", "", "float32"), ("VAE", "256²", "float32")]
STEPS = ["diffusers, eager", "packed, eager", "int8"]
CACHED = ["cache: a computed step", "cache: a skipped step"]
BATCHES = ["8 x 256²", "4 x 512²", "2 x 512² + 1 x 1024²"]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> str:
    file, printed = tmp_path_factory.mktemp("benchmark") / "gpu.md", StringIO()
    with redirect_stdout(printed):
        main([*SMALL, "--tflops", "0.1", "--out", str(file)])
    assert file.read_text() == printed.getvalue()
    return printed.getvalue()


def cells(table: str) -> list[list[str]]:
    lines = [line for line in table.splitlines() if line.startswith("|")]
    headings, _, *rows = [[cell.strip() for cell in line[1:-1].split("|")] for line in lines]
    assert tuple(headings) == HEADINGS
    return rows


def test_every_part_has_its_lines(table: str) -> None:
    weights = [*WEIGHTS, *(("transformer, weights", how) for how in ("float32", "int8"))]
    steps = [("step", "256²", how) for how in [*STEPS, *CACHED]]
    batches = [
        ("step of each", sides, how) for sides in BATCHES for how in ("one by one", "packed")
    ]
    expected = {*((part, "", how) for part, how in weights), *STAGES, *steps, *batches}
    found = [(part, pixels, how) for part, pixels, how, *_ in cells(table)]
    assert set(found) == expected
    assert len(found) == len(expected)


def test_times_stand_beside_their_bounds(table: str) -> None:
    timed = [row for row in cells(table) if not row[0].endswith("weights")]
    for *_, median_ms, fastest_ms, bound_ms, ratio, gib, sm_mhz in timed:
        assert 0 < float(fastest_ms) <= float(median_ms)
        assert float(ratio) == pytest.approx(float(median_ms) / float(bound_ms), abs=0.02, rel=0.1)
        # Both are a GPU's.
        assert (gib, sm_mhz) == ("-", "-")


def test_the_first_line_says_what_it_was_measured_on(table: str) -> None:
    first = table.splitlines()[0]
    assert first.startswith(f"CPU; torch {torch.__version__}, diffusers ")
    assert first.endswith("; bounds at 0.1 TFLOP/s")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "it needs a GPU; --tiny runs on a CPU"),
        (["--tiny", "--sides", "512", "100"], "multiples of 64, got [512, 100]"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit):
        main(arguments)
    assert message in capsys.readouterr().err
