"""Tables as bars, a panel for each figure."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure


def draw_bars(
    panels: Mapping[str, Mapping[str, float]],
    path: Path,
    height_inches: float,
    colors: str | Sequence[str] = "C0",
) -> None:
    """Draw a panel for each figure, with a bar for each system.

    Args:
        panels: By their titles, which name the unit: the figure of each system.
        path: Of the PNG.
        height_inches: At a width of 10.
        colors: Of all bars, or of each system's, as matplotlib names them.
    """
    figure = Figure(figsize=(10, height_inches), dpi=110, layout="constrained")
    # The systems have the same places in all panels, named once.
    all_axes = figure.subplots(1, len(panels), sharey=True)
    for axes, (title, values) in zip(all_axes, panels.items(), strict=True):
        bars = axes.barh(list(values), list(values.values()), color=colors)
        axes.bar_label(bars, fmt="%.2f", padding=3)
        axes.margins(x=0.2)
        axes.set_title(title, fontsize="medium")
        axes.spines[["top", "right"]].set_visible(False)
    all_axes[0].invert_yaxis()
    figure.savefig(path)
