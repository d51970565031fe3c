"""TIFF: striped or tiled, any usual compression, BigTIFF, pyramids; only touched pieces decoded.

tifffile reads the tags and provides the decoder of each page. Reading and caching are done here, so
that threads share decoded segments and never a file position.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import tifffile

from metaphase.arrays import Pixels
from metaphase.errors import InputError, SlideError
from metaphase.slides.address import shown
from metaphase.slides.mpp import MppHints
from metaphase.slides.pyramid import Level, PyramidSlide
from metaphase.slides.remote import RemoteFile
from metaphase.slides.remotesource import NoRangesError
from metaphase.slides.segments import ByteFile, SharedFile
from metaphase.slides.tifflayout import MAX_PAGES, find_slide
from metaphase.slides.tiffpage import UnsupportedPage

_OPENSLIDE_ONLY = ("ndpi", "scn", "bif", "philips")


class TiffSlide(PyramidSlide):
    """The largest image of a TIFF file, with the smaller copies of it that the file holds."""

    def __init__(self, path: Path, hints: MppHints, remote: RemoteFile | None = None) -> None:
        """Open a file, or a ``remote`` one, of which ``path`` is the address."""
        super().__init__(path, hints)
        self._remote = remote
        try:
            self._file = remote or SharedFile(path)
            source: Any = path if remote is None else remote.stream()
            with tifffile.TiffFile(source) as tiff:
                if remote is not None and only_openslide_reads(tiff):
                    raise NoRangesError(remote.url)
                _check_chain(tiff, self._file)
                layout = find_slide(tiff, self._file, path)
                properties = _properties(layout.page)
        except (InputError, NoRangesError):
            raise
        except UnsupportedPage as error:
            raise SlideError.of(path, str(error), way_out=error.way_out) from error
        except Exception as error:  # tifffile raises any kind of error on damaged files
            raise _damaged(path, error) from error
        self._pages = layout.levels
        full = self._pages[0]
        levels = [Level.of(p.width, p.height, full.width, full.height) for p in self._pages]
        self._describe(levels, properties, layout.resolution, layout.notes)
        self.remote_id = "" if remote is None else remote.id

    def _fetch(
        self, level: int, x: int, y: int, width: int, height: int
    ) -> tuple[Pixels, float, float]:
        self._check_open()
        try:
            return self._pages[level].read(x, y, width, height), x, y
        except InputError:  # of a server
            raise
        except Exception as error:  # decoders raise any kind of error on damaged files
            raise _damaged(self.path, error) from error

    def close(self) -> None:
        """Close the file once no thread reads from it any more."""
        super().close()
        for page in self._pages:
            page.forget()

    def __reduce__(self) -> tuple[Any, ...]:
        if self._remote is None:
            return super().__reduce__()
        return _open_remote, (self._remote.url, self._hints)


def _open_remote(url: str, hints: MppHints) -> TiffSlide:
    return TiffSlide(Path(shown(url)), hints, RemoteFile(url))


def only_openslide_reads(tiff: Any) -> bool:
    """Whether an open ``tifffile.TiffFile`` has a vendor's layout that other TIFFs do not have."""
    return any(getattr(tiff, f"is_{vendor}", False) for vendor in _OPENSLIDE_ONLY)


def _check_chain(tiff: Any, file: ByteFile) -> None:
    """Follow the pages to the last one, because tifffile accepts a chain that is cut short."""
    form = tiff.tiff
    at = tiff.pages.first.offset
    seen: set[int] = set()
    while at:
        if at in seen:
            raise ValueError("its pages form a circle")
        if len(seen) == MAX_PAGES:
            raise UnsupportedPage(f"has more than {MAX_PAGES} pages", "export the slide alone")
        seen.add(at)
        (tags,) = struct.unpack(form.tagnoformat, file.read(at, form.tagnosize))
        after = at + form.tagnosize + tags * form.tagsize
        (at,) = struct.unpack(form.offsetformat, file.read(after, form.offsetsize))


def _properties(page: Any) -> dict[str, str]:
    """Return the tags that hold text or a few numbers, as text."""
    properties = {}
    for tag in page.tags:
        value = tag.value
        if isinstance(value, str) or tag.count <= 4:
            properties[f"tiff.{tag.name}"] = str(getattr(value, "name", value))
    return properties


def _damaged(path: Path, error: Exception) -> InputError:
    if isinstance(error, OSError) and error.strerror:
        return SlideError.of(path, f"cannot be read: {error.strerror}")
    return SlideError.of(
        path, f"is a damaged TIFF: {error}", way_out="copy or export the file again"
    )
