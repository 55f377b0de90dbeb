"""The table of autoscaling as a picture: what a system costs, and how long slow requests take."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from serve_app.planning.cluster import Outcome
from serve_app.planning.station import percentile
from serve_app.planning.traffic import Request, num_images


def draw(requests: Sequence[Request], outcomes: Mapping[str, Outcome], path: Path) -> None:
    """Draw each system as a point: GPU-seconds per picture, and the p95 latency."""
    figure = Figure(figsize=(8, 4.5), dpi=110, layout="constrained")
    axes = figure.subplots()
    for name, each in outcomes.items():
        cost = each.denoiser_s / num_images(requests)
        p95_s = percentile(each.latencies_s, 0.95)
        axes.plot([cost], [p95_s], "o", label=name)
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("GPU-seconds per picture")
    axes.set_ylabel("p95 latency, seconds")
    axes.legend()
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)
