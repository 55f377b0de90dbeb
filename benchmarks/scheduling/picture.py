"""The table of capacities as bars."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure


def draw(capacities: Mapping[str, Mapping[str, float]], path: Path) -> None:
    """Draw, for each scenario, the load that each system serves with 90 % in time."""
    figure = Figure(figsize=(10, 4.5), dpi=110, layout="constrained")
    axes = figure.subplots()
    systems = list(next(iter(capacities.values())))
    width = 0.8 / len(systems)
    for number, system in enumerate(systems):
        places = [place + number * width for place in range(len(capacities))]
        axes.bar(places, [loads[system] for loads in capacities.values()], width, label=system)
    axes.set_xticks(
        [place + 0.4 - width / 2 for place in range(len(capacities))],
        [name.replace(", ", "\n", 2) for name in capacities],
    )
    axes.set_ylabel("load with 90 % in time,\nof what saturates the GPUs")
    axes.legend(ncols=3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)
