"""The tables as bars."""

from collections.abc import Mapping
from pathlib import Path

from benchmarks.bars import draw_bars


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
    draw_bars(panels, path, height_inches=3.4)
