"""The table of autoscaling as a picture: what a system costs, and how long slow requests take."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure

from benchmarks.autoscaling.figures import Figures


def draw(of_each: Mapping[str, Figures], path: Path) -> None:
    """Draw each system as a point: GPU-seconds per picture, and the p95 latency."""
    figure = Figure(figsize=(8, 4.5), dpi=110, layout="constrained")
    axes = figure.subplots()
    for name, each in of_each.items():
        axes.plot([each.gpu_s], [each.p95_s], "o", label=name)
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("GPU-seconds per picture")
    axes.set_ylabel("p95 latency, seconds")
    axes.legend()
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)
