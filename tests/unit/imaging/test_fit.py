"""From the canvas to the exact size."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.api.sizes import canvas_of
from serve_app.imaging.fit import fit
from serve_app.messages import Size


def coordinates(width: int, height: int) -> np.ndarray:
    """Return a picture whose red is the row and whose green is the column, modulo 256."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows, columns, 0 * rows], axis=-1).astype(np.uint8)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 900), st.integers(1, 900), st.sampled_from([16, 64]))
def test_the_delivered_size_is_exact(width: int, height: int, multiple: int) -> None:
    canvas = canvas_of(Size(width, height), multiple)
    picture = np.zeros((canvas.height, canvas.width, 3), np.uint8)
    assert fit(picture, Size(width, height)).shape == (height, width, 3)


def test_a_crop_is_centred_with_the_offset_rounded_down() -> None:
    cut = fit(coordinates(1184, 896), Size(1183, 887))
    # One column is lost, on the right; of nine rows, four above.
    assert tuple(cut[0, 0]) == (4, 0, 0)
    assert tuple(cut[-1, -1]) == ((4 + 886) % 256, 1182 % 256, 0)


def test_a_crop_resamples_nothing() -> None:
    canvas = np.random.default_rng(0).integers(0, 256, (272, 272, 3), np.uint8)
    assert np.array_equal(fit(canvas, Size(256, 258)), canvas[7:265, 8:264])


def test_a_small_picture_shows_the_whole_scene() -> None:
    canvas = np.zeros((256, 352, 3), np.uint8)
    canvas[:, 176:] = 255
    small = fit(canvas, Size(64, 48))
    assert small[:, :30].max() < 20
    assert small[:, 34:].min() > 235


@pytest.mark.parametrize("output", [Size(2048, 1), Size(1, 2048), Size(1, 1), Size(16, 9)])
def test_extreme_sizes(output: Size) -> None:
    canvas = canvas_of(output, 16)
    picture = fit(np.full((canvas.height, canvas.width, 3), 77, np.uint8), output)
    assert picture.shape == (output.height, output.width, 3)
    assert (picture == 77).all()
