"""An edit put back into the picture it was made from."""

import numpy as np
from PIL import Image, ImageFilter

FEATHER_SHARE = 1 / 256  # of the short side: how far the edit fades in, inside the mask
MIN_FEATHER_PX = 2


def keep_protected(edited: np.ndarray, original: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return the edited picture under the mask and the original one elsewhere.

    Where the mask is 0, every pixel is the original's own. Where it is 255, away from its edge,
    every pixel is the edited one's; near the edge it fades in, and all of that lies inside. A
    level between is the edit's share: 64 shows a quarter of it over three quarters of the
    original.

    Args:
        edited: (height, width, 3) uint8.
        original: The same shape.
        mask: (height, width) uint8.
    """
    share = _feathered(mask)[..., None]
    mixed = original + share * (edited.astype(np.float32) - original)
    return np.asarray(np.rint(mixed), dtype=np.uint8)


def _feathered(mask: np.ndarray) -> np.ndarray:
    """Return the edit's share of each pixel: the mean of the mask and of ever smaller ones."""
    feather_px = max(MIN_FEATHER_PX, round(min(mask.shape) * FEATHER_SHARE))
    smaller = Image.fromarray(np.ascontiguousarray(mask))
    total = mask.astype(np.float32)
    for _ in range(feather_px - 1):
        smaller = smaller.filter(ImageFilter.MinFilter(3))
        total += np.asarray(smaller)
    return np.asarray(total / (255 * feather_px), dtype=np.float32)
