"""Systems take turns, are warmed up first, and are compared by their medians."""

from collections import Counter
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

from benchmarks.dag.__main__ import (
    NUM_CLIENTS,
    OURS,
    latencies_s,
    latency_table,
    medians,
    null_latencies_ms,
    null_table,
    pictures_per_s,
    rate_table,
)

BARE, MONOLITH = "FluxPipeline, no server", "FluxPipeline behind uvicorn"
LATENCIES = {OURS: [0.3, 0.2, 0.9], MONOLITH: [0.4, 0.4, 0.4], BARE: [0.1, 0.2, 0.3]}


class Asked:
    """Remembers who was asked for which picture, in order."""

    def __init__(self) -> None:
        self.order: list[tuple[str, dict[str, Any]]] = []

    def of(self, name: str) -> Any:
        """Return a system of that name."""
        return lambda body: self.order.append((name, body))


def text_of(table: Table) -> str:
    printed = StringIO()
    Console(width=100, file=printed).print(table)
    return printed.getvalue()


def test_systems_take_turns_at_the_same_pictures() -> None:
    asked = Asked()
    taken = latencies_s({name: asked.of(name) for name in "ABC"}, 512, 2)
    assert "".join(name for name, _ in asked.order) == "ABCABCABC"
    assert [body["seed"] for _, body in asked.order] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert {body["size"] for _, body in asked.order} == {"512x512"}
    # The first turn warms them up.
    assert {name: len(of) for name, of in taken.items()} == {"A": 2, "B": 2, "C": 2}


def test_the_first_requests_for_nothing_are_not_counted() -> None:
    asked = Asked()
    assert len(null_latencies_ms(asked.of("null"), 5)) == 5
    assert len(asked.order) == 15


def test_servers_are_flooded_in_turns_and_the_bare_pipeline_is_not() -> None:
    asked = Asked()
    rates = pictures_per_s({name: asked.of(name) for name in (OURS, MONOLITH, BARE)}, 6)
    assert Counter(name for name, _ in asked.order) == {
        OURS: 2 * 4 * NUM_CLIENTS,
        MONOLITH: 2 * 4 * NUM_CLIENTS,
    }
    assert list(rates) == [OURS, MONOLITH]


def test_tables_have_medians_and_ratios() -> None:
    assert medians(LATENCIES) == {OURS: 0.3, MONOLITH: 0.4, BARE: 0.2}
    said = text_of(latency_table(512, LATENCIES)).splitlines()
    for name, ratio in {OURS: "1.50", MONOLITH: "2.00", BARE: "1.00"}.items():
        assert any(name in line and ratio in line for line in said), said
    assert "2.00" in text_of(rate_table({OURS: [4.0], MONOLITH: [2.0]}))


def test_the_goal_stands_beside_what_was_reached() -> None:
    said = text_of(null_table([30.0] * 99))
    assert "p50 (goal <= 25 ms)" in said
    assert "30.0 ms" in said


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="of the extra `train`")
    from benchmarks.dag.picture import draw

    draw({512: medians(LATENCIES)}, {OURS: 4.0, MONOLITH: 2.0}, tmp_path / "dag.png")
    assert (tmp_path / "dag.png").read_bytes().startswith(b"\x89PNG")
