"""TIFF: striped or tiled, any usual compression, BigTIFF, pyramids; only touched pieces decoded.

tifffile reads the tags and gives the decoder of each page; reading and caching are ours, so that
threads share decoded segments and never a file position.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tifffile

from metaphase.errors import InputError, SlideError
from metaphase.slides.mpp import (
    MppHints,
    Resolution,
    from_density,
    from_description,
    resolution,
)
from metaphase.slides.pyramid import Level, PyramidSlide
from metaphase.slides.segments import SharedFile
from metaphase.slides.slide import Pixels
from metaphase.slides.tiffpage import Page, Unfit

_SAME_SHAPE = 0.02
_MICRONS = {"micron", "microns", "um", "µm", "μm", "\\u00b5m"}


class TiffSlide(PyramidSlide):
    """A TIFF file: its first page, and the smaller copies of it that the file holds."""

    def __init__(self, path: Path, hints: MppHints) -> None:
        super().__init__(path, hints)
        try:
            self._file = SharedFile(path)
            with tifffile.TiffFile(path) as tiff:
                _check_chain(tiff, self._file)
                self._pages = _levels(tiff, self._file, path)
                first = tiff.pages.first
                properties = _properties(first)
                found = _resolution(tiff, first)
                notes = _notes(tiff, path)
        except Unfit as error:
            raise SlideError.of(path, str(error), way_out=error.way_out) from error
        except Exception as error:  # tifffile raises whatever it likes on damaged files
            raise _damaged(path, error) from error
        full = self._pages[0]
        levels = [Level.of(p.width, p.height, full.width, full.height) for p in self._pages]
        self._describe(levels, properties, found, notes)

    def _fetch(
        self, level: int, x: int, y: int, width: int, height: int
    ) -> tuple[Pixels, float, float]:
        self._check_open()
        try:
            return self._pages[level].read(x, y, width, height), x, y
        except Exception as error:  # decoders raise whatever they like on damaged files
            raise _damaged(self.path, error) from error

    def close(self) -> None:
        """Close the file once no thread reads from it any more."""
        super().close()
        for page in self._pages:
            page.forget()


def _check_chain(tiff: Any, file: SharedFile) -> None:
    """Follow the pages to the last: tifffile is content with those that it finds."""
    form = tiff.tiff
    at, seen = tiff.pages.first.offset, set()
    while at:
        if at in seen:
            raise ValueError("its pages go round in a circle")
        seen.add(at)
        (tags,) = struct.unpack(form.tagnoformat, file.read(at, form.tagnosize))
        after = at + form.tagnosize + tags * form.tagsize
        (at,) = struct.unpack(form.offsetformat, file.read(after, form.offsetsize))


def _levels(tiff: Any, file: SharedFile, path: Path) -> list[Page]:
    """Return the first page and its smaller copies, largest first."""
    first = Page(tiff.pages.first, file, path)
    pages = [first]
    for page in _others(tiff):
        if _is_copy(page, first) and page.imagewidth < pages[-1].width:
            try:
                pages.append(Page(page, file, path))
            except Unfit:  # a copy that cannot be read is not missed
                continue
    return pages


def _others(tiff: Any) -> Iterator[Any]:
    """Yield the pages that may be smaller copies, by falling width."""
    pages = list(tiff.pages.first.pages or ()) + [tiff.pages[i] for i in range(1, len(tiff.pages))]
    yield from sorted((p.aspage() for p in pages), key=lambda p: -int(p.imagewidth))


def _is_copy(page: Any, first: Page) -> bool:
    if page.imagewidth >= first.width or page.imagelength >= first.height:
        return False
    across, down = first.width / page.imagewidth, first.height / page.imagelength
    rounding = 1 / page.imagewidth + 1 / page.imagelength
    same_shape = abs(across / down - 1) <= min(rounding, _SAME_SHAPE)
    return same_shape and int(page.samplesperpixel) == first.samples


def _properties(page: Any) -> dict[str, str]:
    """Return the tags that hold text or a few numbers, as text."""
    found = {}
    for tag in page.tags:
        value = tag.value
        if isinstance(value, str) or tag.count <= 4:
            found[f"tiff.{tag.name}"] = str(getattr(value, "name", value))
    return found


def _resolution(tiff: Any, page: Any) -> Resolution | None:
    if found := from_description(page.description or ""):
        return found
    across, down = (_rational(page.tags.valueof(code)) for code in (282, 283))
    if not across or not down:
        return None
    unit = page.tags.valueof(296, default=2)
    if tiff.is_imagej and (tiff.imagej_metadata or {}).get("unit") in _MICRONS:
        return resolution(1 / across, 1 / down, "ImageJ unit")
    return from_density(across, down, int(unit), "XResolution")


def _rational(value: Any) -> float | None:
    """Return the number of a TIFF rational; None for a missing or senseless one."""
    try:
        top, bottom = value
        return float(top) / float(bottom)
    except (TypeError, ValueError, ZeroDivisionError):
        return None


def _notes(tiff: Any, path: Path) -> list[str]:
    size = (tiff.pages.first.imagewidth, tiff.pages.first.imagelength)
    same = sum((p.imagewidth, p.imagelength) == size for p in tiff.pages)
    if same == 1:
        return []
    return [f"{path.name}: holds {same} planes of the same size; the first is read"]


def _damaged(path: Path, error: Exception) -> InputError:
    if isinstance(error, OSError) and error.strerror:
        return SlideError.of(path, f"cannot be read: {error.strerror}")
    return SlideError.of(
        path, f"is a damaged TIFF: {error}", way_out="copy or export the file again"
    )
