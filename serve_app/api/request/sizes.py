"""Which size a picture has: the table's rule, the nearest shape, and the canvas it is drawn on.

Everything is exact integer or rational arithmetic: floating point gets two rows of the published
table wrong.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import isqrt

from serve_app.imaging.fit import MIN_CANVAS_SIDE_PX
from serve_app.messages import Size

SUPPORTED_RATIOS = tuple(
    sorted(
        Fraction(width, height)
        for width, height in (
            (9, 21),
            (9, 16),
            (2, 3),
            (3, 4),
            (4, 5),
            (1, 1),
            (5, 4),
            (4, 3),
            (3, 2),
            (16, 9),
            (21, 9),
        )
    )
)
SQUARE = Fraction(1)

# Side of the square with the area of one tier. FLUX.1 Krea has the one tier, 1K.
SIDE_1K_PX = 1024
MAX_CANVAS_SIDE_PX = 2048


@dataclass(frozen=True, slots=True)
class SizeFields:
    """What a client said about the size; None is not given, and so is `auto`.

    Attributes:
        size: Exact pixels, or a shape.
        aspect_ratio: A shape, width over height.
        resolution: A tier, in K; the nearest one of the model is taken.
        megapixels: Side of the square of that area, in pixels.
        image_size: Exact pixels.
        width: Exact pixels, together with `height`.
        height: Exact pixels, together with `width`.
    """

    size: Size | Fraction | None = None
    aspect_ratio: Fraction | None = None
    resolution: Fraction | None = None
    megapixels: int | None = None
    image_size: Size | None = None
    width: int | None = None
    height: int | None = None


def output_size(fields: SizeFields, input_image: Size | None = None) -> Size:
    """Return the size to deliver.

    Pixels beat shapes, except that `size` beats everything, also as a shape; a given shape is
    snapped to the nearest one the model has, an input image's own shape is not.

    Args:
        fields: What the client said.
        input_image: Size of the image to edit, if there is one.
    """
    shape = fields.size
    if isinstance(shape, Size):
        return shape
    if shape is None:
        if pixels := _pixels(fields):
            return pixels
        shape = fields.aspect_ratio
    side = _side(fields)
    if shape is not None:
        return size_of(nearest(SUPPORTED_RATIOS, shape), side or SIDE_1K_PX)
    if input_image is not None:
        return _like_input(input_image, side)
    return size_of(SQUARE, side or SIDE_1K_PX)


def size_of(ratio: Fraction, side: int) -> Size:
    """Return the size of a shape with about the area of a square.

    The height comes first, and the width from the rounded height; halves go up.

    Args:
        ratio: Width over height.
        side: Of the square, in pixels.
    """
    a, b = ratio.numerator, ratio.denominator
    # floor(sqrt(q) + 1/2) is (floor(2 sqrt(q)) + 1) // 2, and 2 sqrt(q) is sqrt(4 q).
    height = max(1, (isqrt(4 * side * side * b // a) + 1) // 2)
    return Size(max(1, _rounded(height * ratio)), height)


def nearest(supported: Sequence[Fraction], value: Fraction) -> Fraction:
    """Return the nearest of some values by log distance; on a tie, the larger.

    Args:
        supported: Positive, in any order.
        value: Positive.
    """
    ascending = sorted(supported)
    for smaller, larger in pairwise(ascending):
        if value * value < smaller * larger:
            return smaller
    return ascending[-1]


def canvas_of(output: Size, multiple: int) -> Size:
    """Return the size to generate, so that `output` can be cut from it without stretching.

    Args:
        output: The size to deliver, in pixels.
        multiple: Each side of a canvas is a multiple of it, in pixels.
    """
    # A side below the least canvas scales both sides up, as a rational number of at least 1.
    scale = max(Fraction(1), Fraction(MIN_CANVAS_SIDE_PX, min(output.width, output.height)))
    return Size(
        _canvas_side(output.width, scale, multiple), _canvas_side(output.height, scale, multiple)
    )


def fit_within(size: Size, max_side_px: int) -> Size:
    """Return a size scaled down, if it must be, until its longer side is `max_side_px`."""
    scale = min(Fraction(1), Fraction(max_side_px, max(size.width, size.height)))
    return Size(max(1, _rounded(size.width * scale)), max(1, _rounded(size.height * scale)))


def _pixels(fields: SizeFields) -> Size | None:
    if fields.image_size is not None:
        return fields.image_size
    if fields.width is not None and fields.height is not None:
        return Size(fields.width, fields.height)
    return None


def _side(fields: SizeFields) -> int | None:
    if fields.resolution is not None:
        return SIDE_1K_PX
    return fields.megapixels


def _like_input(image: Size, side: int | None) -> Size:
    size = image if side is None else size_of(Fraction(image.width, image.height), side)
    return fit_within(size, MAX_CANVAS_SIDE_PX)


def _canvas_side(side: int, scale: Fraction, multiple: int) -> int:
    scaled = min(_round_up(side * scale, multiple), MAX_CANVAS_SIDE_PX)
    return max(scaled, _round_up(Fraction(side), multiple))


def _round_up(length: Fraction, multiple: int) -> int:
    return -(-length // multiple) * multiple


def _rounded(length: Fraction) -> int:
    """Round to the nearest integer, halves up (`round` takes halves to the even one)."""
    return (length + Fraction(1, 2)).__floor__()
