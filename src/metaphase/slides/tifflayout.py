"""Which pages of a TIFF file are the slide.

The largest image is the slide. Smaller copies of it are its SubIFDs, or pages marked as reduced
(NewSubfileType) that show the same picture; a label or macro image may be marked as reduced too, so
the marked pages are compared with the slide. In OME-TIFF the largest image of the XML is the slide.
Red, green and blue in three grey pages are put together; other channels in pages are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from metaphase.arrays import FloatArray
from metaphase.slides.mpp import Resolution, from_aperio, from_density, resolution, um_per_unit
from metaphase.slides.ome import OmeImage, ome_images
from metaphase.slides.segments import ByteFile
from metaphase.slides.slide import grey_note
from metaphase.slides.tiffpage import Page, Planes, UnsupportedPage

MAX_PAGES = 4096
"""Pages of a file, SubIFDs included."""

_REDUCED, _MASK = 1, 4  # bits of NewSubfileType
_GREY, _TRANSPARENCY = (0, 1), 4  # PhotometricInterpretation of grey images and of masks
_SHAPE_TOLERANCE = 0.02
_GRID, _BLOCK_PX = 4, 8  # the places where a copy is compared, and their side in its pixels
_MAX_DIFFERENCE, _MAX_UNLIKE = 24, 2
_CHANNELS = (("red", "green", "blue"), ("r", "g", "b"))
_SEPARATE = "its channels are in separate pages"
_EXPORT = "export it as 8-bit RGB"

PageLike = Page | Planes


@dataclass(frozen=True)
class Layout:
    """The levels of a slide, largest first, the tags of its full-resolution page, and notes."""

    levels: tuple[PageLike, ...]
    page: Any
    resolution: Resolution | None
    notes: tuple[str, ...]


def find_slide(tiff: Any, file: ByteFile, path: Path) -> Layout:
    """Return the layout of an open ``tifffile.TiffFile``. Raises UnsupportedPage, ValueError."""
    pages = [tiff.pages[number].aspage() for number in range(len(tiff.pages))]
    image = _largest_ome_image(tiff, pages)
    if image is not None:
        channels = _ome_channels(image, pages)
        used = {page for other in ome_images(tiff.pages.first.description) for page in other.pages}
        others = [page for number, page in enumerate(pages) if number not in used]
        stack, found = image.stack, image.resolution or _density(channels[0])
    else:
        candidates = _with_larger_sub_pages(pages)
        channels, stack = _largest(tiff, candidates)
        others = [page for page in candidates if page is not channels[0]]
        found = _tagged_resolution(tiff, channels[0])
    full = _page(channels, file, path)
    levels = _levels(full, channels, others, file, path, marked=_marked(tiff, others))
    notes = _notes(path, pages, full, channels, stack)
    return Layout(tuple(levels), channels[0], found, tuple(notes))


def _page(channels: Sequence[Any], file: ByteFile, path: Path) -> PageLike:
    pages = [Page(channel, file) for channel in channels]
    return pages[0] if len(pages) == 1 else Planes(pages)


# --- the image at full resolution ---------------------------------------------------------------


def _largest_ome_image(tiff: Any, pages: Sequence[Any]) -> OmeImage | None:
    """Return the largest image of OME-XML, None where the XML does not fit the pages."""
    images = ome_images(tiff.pages.first.description)
    if not images:
        return None
    image = max(images, key=lambda image: image.area)
    if (image.width, image.height) not in map(_size, pages):
        return None
    if not image.pages or max(image.pages[:1]) >= len(pages):
        raise UnsupportedPage("is part of an image whose pixels are in other files", _EXPORT)
    fits = _size(pages[image.pages[0]]) == (image.width, image.height)
    return image if fits and image.area >= max(map(_area, pages)) else None


def _ome_channels(image: OmeImage, pages: Sequence[Any]) -> list[Any]:
    first = pages[image.pages[0]]
    if len(image.pages) == 1 or int(first.samplesperpixel) >= 3:
        return [first]
    names = tuple(name.strip().lower() for name in image.channel_names)
    known = not any(names) or names in _CHANNELS
    if len(image.pages) != 3 or not known or max(image.pages) >= len(pages):
        listed = ", ".join(filter(None, image.channel_names)) or f"{len(image.pages)} of them"
        raise UnsupportedPage(f"has no red, green and blue: {_SEPARATE} ({listed})", _EXPORT)
    channels = [pages[number] for number in image.pages]
    if any(_size(page) != _size(first) or int(page.samplesperpixel) > 1 for page in channels):
        raise UnsupportedPage(f"has channels that do not fit together: {_SEPARATE}", _EXPORT)
    return channels


def _with_larger_sub_pages(pages: Sequence[Any]) -> list[Any]:
    """Return the pages, with their SubIFDs where these hold a larger image than any page.

    Some writers put a thumbnail first and the image into its SubIFDs, as cameras do.
    """
    _check_sub_pages(pages)
    below = [sub.aspage() for page in pages for sub in page.pages or ()]
    if max(map(_area, below), default=0) <= max(map(_area, pages)):
        return list(pages)
    return [*pages, *below]


def _check_sub_pages(pages: Sequence[Any]) -> None:
    if len(pages) + sum(len(page.subifds or ()) for page in pages) > MAX_PAGES:
        raise ValueError(f"it has more than {MAX_PAGES} pages")


def _largest(tiff: Any, pages: Sequence[Any]) -> tuple[list[Any], int]:
    """Return the page of the largest image (or three of channels), and how many are as large."""
    images = [page for page in pages if not _is_mask(page)] or list(pages)
    largest = max(images, key=lambda page: (_area(page), not _flags(page) & _REDUCED))
    same = [page for page in images if _size(page) == _size(largest)]
    if int(largest.samplesperpixel) > 1:
        return [largest], len(same)
    stored = (tiff.imagej_metadata or {}) if tiff.is_imagej else {}
    if len(same) == 3 == stored.get("channels") and stored.get("images") == 3:
        return same, 1
    count = max(len(same), int(stored.get("images", 1)))
    if count > 1:
        raise UnsupportedPage(
            f"holds {count} grey images of one size, which may be channels or a stack", _EXPORT
        )
    return [largest], 1


def _flags(page: Any) -> int:
    return int(page.subfiletype)


def _is_mask(page: Any) -> bool:
    return bool(_flags(page) & _MASK) or int(page.photometric) == _TRANSPARENCY


def _size(page: Any) -> tuple[int, int]:
    return int(page.imagewidth), int(page.imagelength)


def _area(page: Any) -> int:
    return int(page.imagewidth) * int(page.imagelength)


# --- its smaller copies -------------------------------------------------------------------------


def _levels(
    full: PageLike,
    channels: Sequence[Any],
    others: Sequence[Any],
    file: ByteFile,
    path: Path,
    *,
    marked: bool,
) -> list[PageLike]:
    """Return the full page and its smaller copies, largest first.

    ``marked``: copies are marked as reduced, and other pages are no copies.
    """
    _check_sub_pages(channels)
    below = [list(channel.pages or ()) for channel in channels]
    candidates = [([page.aspage() for page in pages], True) for pages in zip(*below, strict=False)]
    if len(channels) == 1:
        candidates += [
            ([page], False)
            for page in others
            if not _is_mask(page)
            and (_flags(page) & _REDUCED or (not marked and _same_structure(page, channels[0])))
        ]
    candidates.sort(key=lambda candidate: -int(candidate[0][0].imagewidth))
    levels = [full]
    for pages, belongs in candidates:
        if not _may_be_copy(pages[0], full) or pages[0].imagewidth >= levels[-1].width:
            continue
        try:
            level = _page(pages, file, path)
            if belongs or _shows_the_same(level, levels[-1]):
                levels.append(level)
        except UnsupportedPage:  # a copy of another kind is not needed
            continue
    return levels


def _marked(tiff: Any, others: Sequence[Any]) -> bool:
    """Whether smaller copies are marked. Aperio marks the label and the macro image alone."""
    return not tiff.is_svs and any(_flags(page) & _REDUCED for page in others)


def _same_structure(page: Any, full: Any) -> bool:
    """Whether an unmarked page is stored like the slide: some writers mark no page at all."""
    return bool(
        page.is_tiled
        and full.is_tiled
        and (page.tilewidth, page.tilelength) == (full.tilewidth, full.tilelength)
        and page.compression == full.compression
    )


def _may_be_copy(page: Any, full: PageLike) -> bool:
    width, height = _size(page)
    if min(width, height) < 1 or width >= full.width or height >= full.height:
        return False
    ratio = (full.width / width) / (full.height / height)
    samples = 1 if isinstance(full, Planes) else full.samples
    if int(page.samplesperpixel) != samples:
        return False
    return abs(ratio - 1) <= min(1 / width + 1 / height, _SHAPE_TOLERANCE)


def _shows_the_same(small: PageLike, large: PageLike) -> bool:
    """Whether a page is a copy of a larger one, by the mean colours of 16 places."""
    unlike = 0
    for row in range(_GRID):
        for column in range(_GRID):
            x, y = (
                int((at + 0.5) / _GRID * length)
                for at, length in ((column, small.width), (row, small.height))
            )
            here = _mean_colour(small, x, y, 1.0, 1.0)
            there = _mean_colour(
                large, x, y, large.width / small.width, large.height / small.height
            )
            unlike += bool(np.abs(here - there).max() > _MAX_DIFFERENCE)
    return unlike <= _MAX_UNLIKE


def _mean_colour(page: PageLike, x: int, y: int, scale_x: float, scale_y: float) -> FloatArray:
    """Return the mean [3] of a block around a pixel of the smaller page."""
    spans = []
    for at, scale, length in ((x, scale_x, page.width), (y, scale_y, page.height)):
        low = max(0, round((at - _BLOCK_PX // 2) * scale))
        high = min(length, max(low + 1, round((at + _BLOCK_PX // 2) * scale)))
        spans.append((low, high - low))
    (left, width), (top, height) = spans
    return np.asarray(page.read(left, top, width, height).mean(axis=(0, 1)))


# --- tags and notes -----------------------------------------------------------------------------


def _tagged_resolution(tiff: Any, page: Any) -> Resolution | None:
    if found := from_aperio(page.description or ""):
        return found
    if tiff.is_imagej:
        metadata = tiff.imagej_metadata or {}
        across, down = _pixels_per_unit(page)
        unit_x = um_per_unit(metadata.get("unit"))
        unit_y = um_per_unit(metadata.get("yunit", metadata.get("unit")))
        if unit_x and unit_y and across and down:
            return resolution(unit_x / across, unit_y / down, "ImageJ unit")
    return _density(page)


def _density(page: Any) -> Resolution | None:
    across, down = _pixels_per_unit(page)
    if not across or not down:
        return None
    return from_density(across, down, int(page.tags.valueof(296, default=2)), "XResolution")


def _pixels_per_unit(page: Any) -> tuple[float | None, float | None]:
    return _rational(page.tags.valueof(282)), _rational(page.tags.valueof(283))


def _rational(value: Any) -> float | None:
    """Return the number of a TIFF rational; None for a missing or senseless one."""
    try:
        top, bottom = value
        return float(top) / float(bottom)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None


def _notes(
    path: Path, pages: Sequence[Any], full: PageLike, channels: Sequence[Any], stack: int
) -> list[str]:
    notes = []
    if stack > 1:
        notes.append(f"{path.name}: holds {stack} planes of the same size; the first is read")
    if len(channels) > 1:
        notes.append(f"{path.name}: its red, green and blue are put together from three pages")
    elif int(channels[0].photometric) in _GREY:
        notes.append(grey_note(path))
    if channels[0] is not pages[0] and _size(pages[0]) != _size(channels[0]):
        notes.append(
            f"{path.name}: its largest image is read ({full.width} x {full.height} px), "
            f"not its first ({pages[0].imagewidth} x {pages[0].imagelength} px)"
        )
    if channels[0].tags.valueof(274, default=1) not in (0, 1):
        notes.append(
            f"{path.name}: its TIFF orientation is ignored; positions are those of stored pixels"
        )
    return notes
