"""The second contract: pixels of any source, at any resolution."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

WHITE = 255


class Slide(ABC):
    """An image that can be read anywhere, at any resolution, from any thread.

    Attributes: ``path``; ``width_px, height_px`` at full resolution; ``mpp`` (um/px) and
    ``mpp_source`` ("file", "scanner" or "user"); ``properties`` (vendor tags as text).
    """

    path: Path
    width_px: int
    height_px: int
    mpp: float
    mpp_source: str
    properties: Mapping[str, str]

    @abstractmethod
    def read(
        self, x_px: float, y_px: float, width: int, height: int, mpp: float | None = None
    ) -> Pixels:
        """Return RGB pixels, uint8 [height, width, 3], of a region at ``mpp`` (None: the slide's).

        ``x_px, y_px`` is the region's top-left corner in full-resolution pixels and may be
        fractional or negative; ``width, height`` are output pixels, so the region covers
        ``width * mpp / slide.mpp`` full-resolution pixels. What lies outside is white.
        Thread-safe. Raises SlideError where the file is damaged.
        """

    @abstractmethod
    def close(self) -> None:
        """Close the file. Further reads raise SlideError."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
