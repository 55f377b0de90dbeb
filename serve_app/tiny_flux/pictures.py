"""Draw a scene as pixels, at any size, without a font, a file or a library of shapes."""

import random
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serve_app.tiny_flux.language import COLORS, Scene

# Half extents as shares of the canvas's short side; far apart, so that sizes are told apart.
RADIUS = {"small": 0.15, "medium": 0.23, "large": 0.33}
# Centres as shares of the canvas's width and height.
CENTER = {
    "center": (0.5, 0.5),
    "left": (0.26, 0.5),
    "right": (0.74, 0.5),
    "top": (0.5, 0.26),
    "bottom": (0.5, 0.74),
}
RADIUS_JITTER = 0.015  # share of the radius
CENTER_JITTER = 0.004  # share of the canvas's short side
COLOR_JITTER = 5.0  # levels of 255
MARGIN = 0.03  # between a shape and the border, share of the short side

Pixels = NDArray[np.uint8]
Plane = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Drawing:
    """A scene with every free choice made.

    Attributes:
        shape: Kind of shape.
        center: Its centre (x, y), in shares of the canvas's width and height.
        radius: Half its extent, in shares of the canvas's short side.
        color: The shape's RGB levels, 0 to 255.
        background: The background's RGB levels, 0 to 255.
    """

    shape: str
    center: tuple[float, float]
    radius: float
    color: tuple[float, ...]
    background: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of a canvas, in pixels."""

    left: int
    top: int
    width: int
    height: int


def place(scene: Scene, width: int, height: int) -> tuple[float, float]:
    """Return a scene's nominal centre (x, y) in shares of the canvas.

    A large shape is moved inwards as far as it takes to keep clear of the border.
    """
    x, y = CENTER[scene.position]
    reach = (RADIUS[scene.size] * (1 + RADIUS_JITTER) + MARGIN) * min(width, height)
    return _inside(x, reach / width), _inside(y, reach / height)


def lay_out(scene: Scene, width: int, height: int, rng: random.Random) -> Drawing:
    """Make a scene's free choices: where exactly, how large exactly, which shade exactly."""
    x, y = place(scene, width, height)
    jitter = CENTER_JITTER * min(width, height)
    return Drawing(
        shape=scene.shape,
        center=(
            x + rng.uniform(-jitter, jitter) / width,
            y + rng.uniform(-jitter, jitter) / height,
        ),
        radius=RADIUS[scene.size] * (1 + rng.uniform(-RADIUS_JITTER, RADIUS_JITTER)),
        color=_shade(scene.color, rng),
        background=_shade(scene.background, rng),
    )


def render(drawing: Drawing, width: int, height: int, window: Window | None = None) -> Pixels:
    """Return the drawing, or a window of it, as uint8 of shape (height, width, 3)."""
    part = window or Window(0, 0, width, height)
    radius = drawing.radius * min(width, height)
    x = np.arange(part.left, part.left + part.width, dtype=np.float32)[None, :] + 0.5
    y = np.arange(part.top, part.top + part.height, dtype=np.float32)[:, None] + 0.5
    x = (x - drawing.center[0] * width) / radius
    y = (y - drawing.center[1] * height) / radius
    # Coverage from the distance to the outline: one pixel of anti-aliasing.
    coverage = np.clip(0.5 - outline_distance(drawing.shape, x, y) * radius, 0, 1)[..., None]
    background = np.array(drawing.background, dtype=np.float32)
    color = np.array(drawing.color, dtype=np.float32)
    pixels = background + (color - background) * coverage
    return np.asarray(np.rint(pixels), dtype=np.uint8)


def draw(scene: Scene, width: int, height: int, rng: random.Random) -> Pixels:
    """Return one picture of a scene as uint8 of shape (height, width, 3)."""
    return render(lay_out(scene, width, height, rng), width, height)


def outline_distance(shape: str, x: Plane, y: Plane) -> Plane:
    """Return the distance to a shape's outline, negative inside.

    Args:
        shape: Kind of shape.
        x: Horizontal place, rightwards from the shape's centre, in radii; shape (1, n).
        y: Vertical place, downwards from the shape's centre, in radii; shape (m, 1).

    Returns:
        Distances in radii, shape (m, n). Every shape's bounding box is centred on (0, 0).
    """
    across, down = np.abs(x), np.abs(y)
    if shape == "circle":
        return np.asarray(np.hypot(x, y) - 1)
    if shape == "square":
        return np.asarray(np.maximum(across, down) - 0.86)
    if shape == "triangle":
        # Apex (0, -0.9), base from (-1, 0.9) to (1, 0.9).
        slope = (1.8 * across - y - 0.9) / np.hypot(1.8, 1.0)
        return np.asarray(np.maximum(slope, y - 0.9))
    if shape == "cross":
        bar = np.maximum(across - 1, down - 0.34)
        return np.asarray(np.minimum(bar, np.maximum(across - 0.34, down - 1)))
    raise ValueError(f"no such shape: {shape}")


def _inside(center: float, reach: float) -> float:
    return min(max(center, reach), 1 - reach)


def _shade(color: str, rng: random.Random) -> tuple[float, ...]:
    levels = (level + rng.uniform(-COLOR_JITTER, COLOR_JITTER) for level in COLORS[color])
    return tuple(min(255.0, max(0.0, level)) for level in levels)
