"""Strips along the sides of crops, and joining them to mosaics."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from metaphase.arrays import Pixels

SEAM_PX = 8
"""Rows over which two pictures are blended."""


def side_strip(image: Pixels, side: int, thick: int) -> Pixels:
    """Return a view of the strip along a side (top, left, bottom, right), its outer edge first."""
    lying = image.swapaxes(0, 1) if side % 2 else image
    return lying[:thick] if side < 2 else lying[::-1][:thick]


def ramp(length: int) -> NDArray[np.float32]:
    """Return a smooth rise from 0 to 1."""
    t = ((np.arange(length) + 0.5) / length).astype(np.float32)
    return t * t * (3 - 2 * t)


def mismatch(first: Pixels, second: Pixels) -> float:
    """Return the mean squared difference of two images where they would be blended."""
    rows = first[-SEAM_PX:, ::2].astype(np.int32) - second[:SEAM_PX, ::2]
    return float((rows * rows).mean())


def joined(first: Pixels, second: Pixels) -> Pixels:
    """Return two images one below the other, blended over SEAM_PX rows."""
    n = min(first.shape[1], second.shape[1])
    first, second = first[:, :n], second[:, :n]
    alpha = ramp(SEAM_PX)[:, None, None]
    seam = first[-SEAM_PX:] * (1 - alpha) + second[:SEAM_PX] * alpha
    middle = (seam + 0.5).astype(np.uint8)
    return np.concatenate([first[:-SEAM_PX], middle, second[SEAM_PX:]])
