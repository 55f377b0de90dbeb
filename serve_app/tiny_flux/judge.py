"""Is the picture right? Decided from pixels alone, with plain geometry."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from serve_app.tiny_flux.language import COLORS, POSITION_WORDS, SHAPE_WORDS, Scene
from serve_app.tiny_flux.pictures import Pixels, outline_distance, place

MAX_SIDE_PX = 256  # a picture is judged at this size at most
BORDER_SHARE = 1 / 40  # of the short side: where nothing but background may be
FOREGROUND_DISTANCE = 48.0  # RGB levels from the background
MIN_SHAPE_SHARE = 0.002  # of the picture: anything smaller is a speck
TEMPLATE_PX = 64

Mask = NDArray[np.bool_]
COLOR_NAMES = tuple(COLORS)
PALETTE = np.array([COLORS[name] for name in COLOR_NAMES], dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What of a scene a picture shows as asked."""

    background: bool
    color: bool
    shape: bool
    position: bool

    @property
    def is_right(self) -> bool:
        """Whether all of it is."""
        return self.background and self.color and self.shape and self.position


def judge(picture: Pixels, scene: Scene) -> Verdict:
    """Return what of `scene` a picture shows.

    Args:
        picture: uint8 of shape (height, width, 3), RGB, any size.
        scene: What was asked for.
    """
    height, width, _ = picture.shape
    small = _reduced(picture)
    background = _border_color(small)
    shape = _largest_part(np.linalg.norm(small - background, axis=2) > FOREGROUND_DISTANCE)
    is_background = nearest_color(background) == scene.background
    if shape.mean() < MIN_SHAPE_SHARE:
        return Verdict(is_background, color=False, shape=False, position=False)
    color = np.median(small[shape], axis=0)
    return Verdict(
        background=is_background,
        color=nearest_color(color) == scene.color,
        shape=nearest_shape(shape) == scene.shape,
        position=_nearest_position(shape, scene, width, height) == scene.position,
    )


def nearest_color(rgb: NDArray[np.float32]) -> str:
    """Return the name of the colour that is nearest to some RGB levels."""
    return COLOR_NAMES[int(np.linalg.norm(PALETTE - rgb, axis=1).argmin())]


def nearest_shape(mask: Mask) -> str:
    """Return the shape whose outline covers a mask best, both fitted into a square."""
    fitted = _fitted(mask)
    overlaps = {
        name: float((fitted & template).sum() / (fitted | template).sum())
        for name, template in TEMPLATES.items()
    }
    return max(overlaps, key=overlaps.__getitem__)


def _reduced(picture: Pixels) -> NDArray[np.float32]:
    image = Image.fromarray(picture)
    image.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX), Image.Resampling.BOX)
    return np.asarray(image, dtype=np.float32)


def _border_color(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    width = max(2, int(min(picture.shape[:2]) * BORDER_SHARE))
    sides = (picture[:width], picture[-width:], picture[:, :width], picture[:, -width:])
    return np.asarray(np.median(np.concatenate([s.reshape(-1, 3) for s in sides]), axis=0))


def _largest_part(mask: Mask) -> Mask:
    """Return the largest part of a mask whose pixels touch side by side."""
    labels = np.where(mask, np.arange(1, mask.size + 1).reshape(mask.shape), 0)
    while True:
        # Every pixel takes the largest label of its neighbours, along whole runs at a time.
        spread = labels
        for axis in (0, 1):
            for way in (1, -1):
                spread = _swept(spread, mask, axis, way)
        if np.array_equal(spread, labels):
            break
        labels = spread
    counts = np.bincount(labels.ravel())
    counts[0] = 0
    return np.asarray((labels == counts.argmax()) & mask)


def _swept(labels: NDArray[np.int64], mask: Mask, axis: int, way: int) -> NDArray[np.int64]:
    """Carry the largest label forwards along each unbroken run of a mask."""
    turned = np.moveaxis(labels, axis, 0)[::way].copy()
    inside = np.moveaxis(mask, axis, 0)[::way]
    for line in range(1, len(turned)):
        carried = np.maximum(turned[line], turned[line - 1])
        turned[line] = np.where(inside[line], carried, 0)
    return np.moveaxis(turned[::way], 0, axis)


def _fitted(mask: Mask) -> Mask:
    """Return the mask's bounding box, centred in a square of TEMPLATE_PX without distortion."""
    rows, columns = np.nonzero(mask)
    box = mask[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    side = max(box.shape)
    square = np.zeros((side, side), dtype=np.uint8)
    top, left = (side - box.shape[0]) // 2, (side - box.shape[1]) // 2
    square[top : top + box.shape[0], left : left + box.shape[1]] = box * 255
    scaled = Image.fromarray(square).resize((TEMPLATE_PX, TEMPLATE_PX), Image.Resampling.BILINEAR)
    return np.asarray(scaled) > 127


def _template(shape: str) -> Mask:
    axis = np.linspace(-1.1, 1.1, 4 * TEMPLATE_PX, dtype=np.float32)
    return _fitted(outline_distance(shape, axis[None, :], axis[:, None]) < 0)


def _nearest_position(mask: Mask, scene: Scene, width: int, height: int) -> str:
    """Return the position of the language whose place is nearest to the middle of a mask."""
    rows, columns = np.nonzero(mask)
    x = (columns.min() + columns.max() + 1) / 2 / mask.shape[1]
    y = (rows.min() + rows.max() + 1) / 2 / mask.shape[0]

    def distance(position: str) -> float:
        there = Scene(scene.background, scene.color, scene.shape, scene.size, position)
        place_x, place_y = place(there, width, height)
        return float(np.hypot((x - place_x) * width, (y - place_y) * height))

    return min(POSITION_WORDS, key=distance)


TEMPLATES = {name: _template(name) for name in SHAPE_WORDS}
