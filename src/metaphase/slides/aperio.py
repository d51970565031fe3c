"""Aperio slides (SVS): opened by OpenSlide, with their JPEG tiles decoded here.

The pixels are identical. OpenSlide's way through Cairo costs 2.5 times the CPU time (60 times where
the tiles are cached), which would delay detection. Wherever this way could differ, OpenSlide reads:
levels with tiles that were never written, which it fills from other levels, and damaged tiles.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tifffile

from metaphase.arrays import Pixels
from metaphase.slides.mpp import MppHints
from metaphase.slides.openslide import OpenSlideSlide
from metaphase.slides.pyramid import Level
from metaphase.slides.segments import SharedFile
from metaphase.slides.tiffpage import Page

_JPEG = 7


class AperioSlide(OpenSlideSlide):
    """A slide read as TIFF where a level is complete JPEG tiles, else by OpenSlide."""

    def __init__(self, path: Path, hints: MppHints) -> None:
        super().__init__(path, hints)
        try:
            self._pages = _pages(path, self.levels)
        except Exception:  # then OpenSlide reads it, or says what is wrong
            self._pages = {}

    def _fetch(
        self, level: int, x: int, y: int, width: int, height: int
    ) -> tuple[Pixels, float, float]:
        page = self._pages.get(level)
        if page is None:
            return super()._fetch(level, x, y, width, height)
        self._check_open()
        try:
            return page.read(x, y, width, height), x, y
        except Exception:  # decoders raise any kind of error on damaged files
            return super()._fetch(level, x, y, width, height)

    def close(self) -> None:
        """Close the file once no thread reads from it any more."""
        super().close()
        for page in self._pages.values():
            page.forget()


def _pages(path: Path, levels: tuple[Level, ...]) -> dict[int, Page]:
    """Return the pages of complete JPEG tiles that hold levels, by the number of the level."""
    file = SharedFile(path)
    pages: dict[int, Page] = {}
    with tifffile.TiffFile(path) as tiff:
        for page in map(_full, tiff.pages):
            if not page.is_tiled or int(page.compression) != _JPEG:
                continue
            size = (int(page.imagewidth), int(page.imagelength))
            for number, level in enumerate(levels):
                if size == (level.width, level.height):
                    pages.setdefault(number, Page(page, file))
    return {number: page for number, page in pages.items() if not page.has_missing_segments}


def _full(page: Any) -> Any:
    return page.aspage()
