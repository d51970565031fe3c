"""Aperio slides (SVS): OpenSlide tells what is in them, their JPEG tiles are decoded here.

The pixels are the same to the bit; OpenSlide's way through Cairo costs 2.5 times the CPU time (and
60 times where the tiles are in the cache), which detection would have to wait for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tifffile

from metaphase.errors import SlideError
from metaphase.slides.mpp import MppHints
from metaphase.slides.openslide import OpenSlideSlide
from metaphase.slides.pyramid import Level
from metaphase.slides.segments import SharedFile
from metaphase.slides.slide import Pixels
from metaphase.slides.tiffpage import Page

_JPEG = 7


class AperioSlide(OpenSlideSlide):
    """A slide whose levels are read as TIFF where they hold JPEG tiles, else by OpenSlide."""

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
        except Exception as error:  # decoders raise whatever they like on damaged files
            raise SlideError.of(
                self.path, f"is damaged: {error}", way_out="copy or export the file again"
            ) from error

    def close(self) -> None:
        """Close the file once no thread reads from it any more."""
        super().close()
        for page in self._pages.values():
            page.forget()


def _pages(path: Path, levels: tuple[Level, ...]) -> dict[int, Page]:
    """Return the pages of JPEG tiles that hold levels, by the number of the level."""
    file = SharedFile(path)
    found: dict[int, Page] = {}
    with tifffile.TiffFile(path) as tiff:
        for page in map(_full, tiff.pages):
            if not page.is_tiled or int(page.compression) != _JPEG:
                continue
            size = (int(page.imagewidth), int(page.imagelength))
            for number, level in enumerate(levels):
                if size == (level.width, level.height) and number not in found:
                    found[number] = Page(page, file, path)
    return found


def _full(page: Any) -> Any:
    return page.aspage()
