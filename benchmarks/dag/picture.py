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
    figure = Figure(figsize=(10, 4), dpi=110, layout="constrained")
    panels = figure.subplots(1, len(latencies) + 1)
    for axes, (side, of_systems) in zip(panels, latencies.items(), strict=False):
        axes.barh(list(of_systems), list(of_systems.values()))
        axes.set_title(f"seconds for one of {side}x{side}")
    panels[-1].barh(list(rates), list(rates.values()))
    panels[-1].set_title("pictures/s, 4 clients, 512x512")
    for axes in panels:
        axes.invert_yaxis()
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)
