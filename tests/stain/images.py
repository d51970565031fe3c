"""Images for the tests of stains."""

from __future__ import annotations

import numpy as np

from metaphase.arrays import Pixels
from tests.slides.pictures import STAINS, stained_tissue

OTHER = np.array([[0.66, 0.68, 0.32], [0.10, 0.93, 0.36]])
"""Stain vectors of another laboratory."""


def tissue(
    seed: int = 0, vectors: np.ndarray = STAINS, strength: float = 1.0, side: int = 96
) -> Pixels:
    """Return a tile covered by tissue, of known stains."""
    return stained_tissue(side, side, seed, vectors=vectors, strength=strength)


def mean_difference(a: Pixels, b: Pixels) -> float:
    """Return the mean absolute difference of two images, in grey levels."""
    return float(np.abs(a.astype(float) - b.astype(float)).mean())
