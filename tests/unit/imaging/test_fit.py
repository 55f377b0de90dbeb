"""From the canvas to the exact size."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.api.request.sizes import canvas_of
from serve_app.imaging.fit import cover, fit, to_canvas
from serve_app.messages import Size
from tests.unit.imaging.samples import gradient, random_picture


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
    canvas = random_picture(272, 272)
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


@pytest.mark.parametrize(
    ("output", "canvas"),
    [(Size(1183, 887), Size(1216, 896)), (Size(256, 300), Size(256, 320)), (Size(300, 300),) * 2],
)
def test_fit_gives_back_what_to_canvas_took(output: Size, canvas: Size) -> None:
    picture = random_picture(output.width, output.height)
    widened = to_canvas(picture, canvas)
    assert widened.shape == (canvas.height, canvas.width, 3)
    assert np.array_equal(fit(widened, output), picture)


@settings(max_examples=25, deadline=None)
@given(st.integers(256, 500), st.integers(256, 500), st.sampled_from([16, 32, 64]))
def test_a_canvas_that_is_only_rounded_up_loses_nothing(
    width: int, height: int, multiple: int
) -> None:
    picture = random_picture(width, height)
    output = Size(width, height)
    assert np.array_equal(fit(to_canvas(picture, canvas_of(output, multiple)), output), picture)


@pytest.mark.parametrize(
    "output", [Size(64, 48), Size(100, 150), Size(255, 255), Size(2048, 1), Size(1, 300)]
)
@pytest.mark.parametrize("multiple", [16, 64])
def test_a_small_picture_is_scaled_up_to_its_canvas_and_comes_back(
    output: Size, multiple: int
) -> None:
    picture = gradient(max(2, output.width), max(2, output.height))
    picture = picture[: output.height, : output.width]
    canvas = canvas_of(output, multiple)
    widened = to_canvas(picture, canvas)
    assert widened.shape == (canvas.height, canvas.width, 3)
    assert np.abs(fit(widened, output).astype(int) - picture).max() <= 8


def test_a_small_picture_fills_its_canvas() -> None:
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:, 32:] = 255
    widened = to_canvas(picture, Size(352, 256))
    # Scaled by 5 1/3, and its edges repeated on the few columns that are left.
    assert widened[:, :165].max() < 20
    assert widened[:, 187:].min() > 235


def test_a_mask_becomes_a_canvas_too() -> None:
    mask = np.zeros((300, 260), np.uint8)
    mask[:, :100] = 255
    widened = to_canvas(mask, Size(320, 320))
    assert np.array_equal(widened[10:310, 30:290], mask)
    assert (widened[:, 0] == 255).all()
    assert (widened[:, -1] == 0).all()


def test_cover_cuts_and_never_stretches() -> None:
    height, width = np.mgrid[:200, :800]
    circle = (np.hypot(height - 100, width - 400) < 80).astype(np.uint8) * 255
    covered = cover(np.stack([circle] * 3, axis=-1), Size(300, 300))[..., 0] > 127
    rows, columns = np.nonzero(covered)
    assert abs(np.ptp(rows) - np.ptp(columns)) <= 1
    assert np.ptp(rows) == pytest.approx(240, abs=3)


def test_cover_leaves_the_right_size_alone() -> None:
    picture = random_picture(40, 30)
    assert np.array_equal(cover(picture, Size(40, 30)), picture)
    mask = picture[..., 0]
    assert np.array_equal(cover(mask, Size(40, 30)), mask)
    assert not np.array_equal(cover(picture, Size(39, 30)), picture[:, :39])


def test_a_covered_mask_keeps_its_zeros() -> None:
    mask = np.zeros((100, 100), np.uint8)
    mask[:, :50] = 255
    covered = cover(mask, Size(333, 333))
    assert (covered[:, 170:] == 0).all()
    assert (covered[:, :163] == 255).all()


def test_the_margins_repeat_the_edge() -> None:
    picture = random_picture(300, 290)
    widened = to_canvas(picture, Size(320, 320))
    assert (widened[:15] == widened[15]).all()
    assert (widened[-15:] == widened[-15]).all()
    assert (widened[:, -10:] == widened[:, -11:-10]).all()


def test_a_strip_covers_a_square_within_memory() -> None:
    strip = np.zeros((60_000, 1, 3), np.uint8)
    assert cover(strip, Size(1024, 1024)).shape == (1024, 1024, 3)
