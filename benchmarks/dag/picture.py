"""The tables as bars."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure


def draw(
    latencies: Mapping[int, Mapping[str, float]], rates: Mapping[str, float], path: Path
) -> None:
    """Draw the median latency of each system and size, and pictures per second of each server.

    Args:
        latencies: In seconds, by the pictures' side in pixels.
        rates: In pictures per second.
        path: Of the PNG.
    """
    panels = {f"{side}x{side}: seconds for one": of for side, of in latencies.items()}
    panels["512x512, 4 clients: pictures/s"] = rates
    figure = Figure(figsize=(10, 3.4), dpi=110, layout="constrained")
    # The systems have the same places in all panels, named once.
    all_axes = figure.subplots(1, len(panels), sharey=True)
    for axes, (title, values) in zip(all_axes, panels.items(), strict=True):
        bars = axes.barh(list(values), list(values.values()))
        axes.bar_label(bars, fmt="%.2f", padding=3)
        axes.margins(x=0.15)
        axes.set_title(title, fontsize="medium")
        axes.spines[["top", "right"]].set_visible(False)
    all_axes[0].invert_yaxis()
    figure.savefig(path)
