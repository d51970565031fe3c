"""Pixel cache: small images decoded once and shared by all workers.

A field of view saved as JPEG or PNG has to be decoded whole to read one patch of it. Its pixels are
therefore written once to a temporary file that every process maps into memory: there is one copy of
them in the computer, in the operating system's page cache, and none in the workers.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any

import numpy as np

from metaphase.slides.array import ArraySlide
from metaphase.slides.mpp import MppHints
from metaphase.slides.slide import Slide

MAX_PIXELS = 20_000_000
"""Larger images are not cached."""


class DecodedSlide(ArraySlide):
    """An array of pixels on disk, uint8 [height, width, 3], read like any slide."""

    def __init__(self, path: Path, hints: MppHints) -> None:
        super().__init__(np.load(path, mmap_mode="r"), path, hints)


class DecodedStore:
    """The folder of decoded images, at most ``limit_mb``; deleted with the store."""

    def __init__(self, limit_mb: float) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="metaphase-pixels-"))
        self._delete = weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        # Never more than half of what the disk has left.
        free = shutil.disk_usage(self.folder).free
        self._left = min(int(limit_mb * 1_000_000), free // 2)
        self._count = 0

    def decode(self, slide: Slide) -> DecodedSlide | None:
        """Return the decoded slide; None where it is large, a pyramid, or the cache is full."""
        size = slide.width_px * slide.height_px * 3
        levels = len(getattr(slide, "levels", ()))
        if levels != 1 or size > 3 * MAX_PIXELS or size > self._left:
            return None
        path = self.folder / f"{self._count}.npy"
        np.save(path, slide.read(0, 0, slide.width_px, slide.height_px))
        self._left -= size
        self._count += 1
        return DecodedSlide(path, MppHints(labels=slide.mpp))

    def close(self) -> None:
        """Delete the files."""
        self._delete()

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a store is not sent to other processes, its slides are")
