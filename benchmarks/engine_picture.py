"""The table of the engine and of simpler loops as bars."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure


def draw(panels: Mapping[str, Mapping[str, float]], path: Path) -> None:
    """Draw a panel for each figure, with a bar for each loop.

    Args:
        panels: By their titles, which name the unit: the figure of each loop.
        path: Of the PNG.
    """
    figure = Figure(figsize=(10, 2.6), dpi=110, layout="constrained")
    # The loops have the same places in all panels, named once.
    all_axes = figure.subplots(1, len(panels), sharey=True)
    for axes, (title, values) in zip(all_axes, panels.items(), strict=True):
        names = [name.replace(", ", ",\n") for name in values]
        bars = axes.barh(names, list(values.values()), color=["C0", *["C7"] * (len(names) - 1)])
        axes.bar_label(bars, fmt="%.2f", padding=3)
        axes.margins(x=0.2)
        axes.set_title(title, fontsize="medium")
        axes.spines[["top", "right"]].set_visible(False)
    all_axes[0].invert_yaxis()
    figure.savefig(path)
