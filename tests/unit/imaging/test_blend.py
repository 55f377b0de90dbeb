"""What a mask protects stays as it was, and an edit fades in inside the mask only."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.imaging.blend import keep_protected
from tests.unit.imaging.samples import random_picture

HEIGHT, WIDTH = 300, 400
ORIGINAL = random_picture(WIDTH, HEIGHT, seed=0)
EDITED = random_picture(WIDTH, HEIGHT, seed=1)


def quarter(level: int = 255) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[: HEIGHT // 2, : WIDTH // 2] = level
    return mask


def share_of_edit(mask: np.ndarray) -> np.ndarray:
    """Return how much of an edit shows, 0 to 255: a white edit of a black picture."""
    black = np.zeros((*mask.shape, 3), np.uint8)
    return keep_protected(np.full_like(black, 255), black, mask)[..., 0].astype(int)


def test_protected_pixels_are_the_originals_own() -> None:
    blended = keep_protected(EDITED, ORIGINAL, quarter())
    protected = quarter() == 0
    assert np.array_equal(blended[protected], ORIGINAL[protected])
    assert not np.array_equal(blended, ORIGINAL)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_no_mask_whatever_touches_what_it_protects(width: int, height: int, seed: int) -> None:
    mask = random_picture(width, height, seed)[..., 0] * (
        random_picture(width, height)[..., 1] < 99
    )
    edited, original = (random_picture(width, height, other) for other in (seed + 1, seed + 2))
    blended = keep_protected(edited, original, mask)
    assert np.array_equal(blended[mask == 0], original[mask == 0])


def test_away_from_the_edge_the_edit_is_whole() -> None:
    blended = keep_protected(EDITED, ORIGINAL, quarter())
    inside = np.s_[: HEIGHT // 2 - 8, : WIDTH // 2 - 8]
    assert np.array_equal(blended[inside], EDITED[inside])


@pytest.mark.parametrize("side", [256, 1024, 1280])
def test_the_feather_lies_inside_and_grows_with_the_picture(side: int) -> None:
    mask = np.zeros((side, side), np.uint8)
    mask[:, : side // 2] = 255
    across = share_of_edit(mask)[side // 2]
    feathered = np.flatnonzero((across > 0) & (across < 255))
    feather_px = max(2, side // 256)
    # The step onto the whole edit is one of the feather's own.
    assert list(feathered) == list(range(side // 2 - feather_px + 1, side // 2))


def test_the_pictures_own_border_is_no_edge() -> None:
    whole = np.full((HEIGHT, WIDTH), 255, np.uint8)
    assert np.array_equal(keep_protected(EDITED, ORIGINAL, whole), EDITED)
    assert (share_of_edit(quarter())[:, 0][: HEIGHT // 2 - 8] == 255).all()


def test_there_is_no_seam() -> None:
    mask = np.zeros((1024, 1024), np.uint8)
    mask[200:700, 300:800] = 255
    share = share_of_edit(mask)
    steps = [np.abs(np.diff(share, axis=axis)).max() for axis in (0, 1)]
    assert max(steps) <= 64
    assert np.abs(np.diff(mask.astype(int), axis=0)).max() == 255, "as a cut would be"
    # It only rises on the way in.
    assert (np.diff(share[450, :550]) >= 0).all()


@pytest.mark.parametrize("level", [1, 64, 128, 200])
def test_a_soft_level_is_the_edits_share(level: int) -> None:
    share = share_of_edit(np.full((HEIGHT, WIDTH), level, np.uint8))
    assert (share == level).all()


def test_a_soft_edge_stays_soft() -> None:
    ramp = np.tile(np.linspace(0, 255, WIDTH).astype(np.uint8), (HEIGHT, 1))
    share = share_of_edit(ramp)[HEIGHT // 2]
    assert (np.diff(share) >= 0).all()
    assert np.abs(share - ramp[0]).max() <= 2


def test_the_inputs_are_left_alone() -> None:
    edited, original, mask = EDITED.copy(), ORIGINAL.copy(), quarter()
    for array in (edited, original, mask):
        array.setflags(write=False)
    blended = keep_protected(edited, original, mask)
    assert blended.flags.writeable
    assert blended.dtype == np.uint8
