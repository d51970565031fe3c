"""Pixels in memory as a slide."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from metaphase.arrays import Pixels
from metaphase.slides.mpp import MppHints
from metaphase.slides.pyramid import Level, PyramidSlide


class ArraySlide(PyramidSlide):
    """An array, uint8 [height, width, 3], read like any slide; ``path`` is its name in messages."""

    def __init__(self, pixels: Pixels, path: Path, hints: MppHints) -> None:
        super().__init__(path, hints)
        self._pixels = pixels
        height, width = pixels.shape[:2]
        self._describe([Level(width, height, 1.0, 1.0)], {}, None)

    def _fetch(
        self, level: int, x: int, y: int, width: int, height: int
    ) -> tuple[Pixels, float, float]:
        self._check_open()
        return np.array(self._pixels[y : y + height, x : x + width]), x, y
