"""One page of a TIFF file: where its strips or tiles are, and how they become RGB."""

from __future__ import annotations

import itertools
import logging
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from metaphase.arrays import IntArray, Pixels
from metaphase.slides.segments import ByteFile, shared_cache
from metaphase.slides.slide import WHITE

MAX_SEGMENT_BYTES = 1 << 30
"""Bytes of RGB of the largest strip or tile, which can only be decoded whole."""

_CONTIGUOUS = 1
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6
_ASSOCIATED = 1
_UNCOMPRESSED = 1
_JPEG = 7
_LARGE_KEPT = 2  # segments of a page that are larger than the whole cache
_numbers = itertools.count()

# tifffile logs what is wrong with damaged files, and Python would print it; here errors say it.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


class UnsupportedPage(ValueError):  # says what the page is, not what went wrong
    """A well-formed page that cannot be used as a slide."""

    def __init__(self, message: str, way_out: str = "export it as 8-bit RGB") -> None:
        super().__init__(message)
        self.way_out = way_out


class Page:
    """A page whose segments (strips or tiles, on a grid of rows and columns) can be decoded.

    Raises UnsupportedPage for pages that are not 8-bit grey, palette or RGB images, and ValueError
    where segments lie beyond the end of the file.
    """

    def __init__(self, page: Any, file: ByteFile) -> None:
        self._number = next(_numbers)
        self.width, self.height = int(page.imagewidth), int(page.imagelength)
        self.samples = int(page.samplesperpixel)
        self._photometric = int(page.photometric)
        self._check(page)
        self.segment_width = int(page.tilewidth) if page.is_tiled else self.width
        rows = int(page.tilelength) if page.is_tiled else int(page.rowsperstrip)
        self.segment_height = rows if page.is_tiled else min(rows, self.height)
        self._columns = -(-self.width // self.segment_width)
        self._rows = -(-self.height // self.segment_height)
        self._planes = 1 if int(page.planarconfig) == _CONTIGUOUS else self.samples
        self._offsets: IntArray = np.asarray(page.dataoffsets, np.int64)
        self._counts: IntArray = np.asarray(page.databytecounts, np.int64)
        self._file = file
        self._plain = self._is_plain_rgb(page)
        self._check_segments()
        self._decode = page.decode
        self._tables: dict[str, Any] = {}
        if page.compression == _JPEG:
            self._tables["jpegtables"] = page.jpegtables
        extra = [int(kind) for kind in page.extrasamples]
        self._associated = bool(extra) and extra[0] == _ASSOCIATED
        self._palette = _palette(page) if self._photometric == _PALETTE else None
        self._large: OrderedDict[tuple[int, int], Pixels] = OrderedDict()
        self._large_lock = threading.Lock()

    @property
    def has_missing_segments(self) -> bool:
        """Whether strips or tiles were never written (a byte count of 0)."""
        return bool((self._counts == 0).any())

    def _check(self, page: Any) -> None:
        if self.width < 1 or self.height < 1:
            raise ValueError("it has no pixels")
        bits = int(page.bitspersample)
        fits = bits in (1, 8) or (bits < 8 and self._photometric == _PALETTE)
        if page.dtype is None or page.dtype.kind not in "ub" or not fits:
            raise UnsupportedPage(
                f"has {bits} bits a sample of kind {page.dtype}; 8-bit ones are needed"
            )
        colours = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _PALETTE: 1, _YCBCR: 3}
        if self._photometric not in colours:
            raise UnsupportedPage(f"has the colour space {page.photometric!s}, which is not read")
        if self._photometric == _YCBCR and page.compression != _JPEG:
            raise UnsupportedPage("has YCbCr colours without JPEG compression, which is not read")
        if not colours[self._photometric] <= self.samples <= colours[self._photometric] + 1:
            raise UnsupportedPage(f"has {self.samples} channels; it is no RGB or grey picture")
        if int(page.imagedepth) > 1:
            raise UnsupportedPage("is a volume", way_out="export one plane of it")

    def _check_segments(self) -> None:
        if self.segment_width < 1 or self.segment_height < 1:
            raise ValueError("its strips or tiles have no pixels")
        needed = self._rows * self._columns * self._planes
        if len(self._offsets) < needed or len(self._counts) < needed:
            raise ValueError(f"{needed} strips or tiles are needed, {len(self._offsets)} are there")
        if (self._offsets < 0).any() or (self._counts < 0).any():
            raise ValueError("its table of strips or tiles is wrong")
        if int((self._offsets + self._counts).max()) > self._file.size:
            raise ValueError("it ends before its last strip or tile")
        if not self._plain and self._segment_bytes > MAX_SEGMENT_BYTES:
            raise UnsupportedPage(
                f"has strips or tiles of {self.segment_width} x {self.segment_height} px, "
                "which can only be decoded whole",
                way_out="convert it to a tiled TIFF",
            )

    @property
    def _segment_bytes(self) -> int:
        """Bytes of a decoded segment: RGB, whatever is stored, and a sample of transparency."""
        return self.segment_width * self.segment_height * max(3, self.samples)

    def segments_in(self, x: int, y: int, width: int, height: int) -> Iterator[tuple[int, int]]:
        """Yield row and column of the segments that a region touches."""
        across, down = self.segment_width, self.segment_height
        for row in range(y // down, (y + height - 1) // down + 1):
            for column in range(x // across, (x + width - 1) // across + 1):
                yield row, column

    def read(self, x: int, y: int, width: int, height: int) -> Pixels:
        """Return RGB pixels of a region inside the page, decoding what it touches."""
        out = np.empty((height, width, 3), np.uint8)
        for row, column in self.segments_in(x, y, width, height):
            top, left = row * self.segment_height, column * self.segment_width
            y0, y1 = max(top, y), min(top + self.segment_height, y + height)
            x0, x1 = max(left, x), min(left + self.segment_width, x + width)
            part = (y0 - top, y1 - top, x0 - left, x1 - left)
            out[y0 - y : y1 - y, x0 - x : x1 - x] = self._part(row, column, *part)
        return out

    def _part(self, row: int, column: int, top: int, end: int, left: int, right: int) -> Pixels:
        """Return the pixels from ``top`` to ``end`` and ``left`` to ``right`` of a segment."""
        if self._plain and self._counts[row * self._columns + column] > 0:
            return self._plain_part(row, column, top, end, left, right)
        return self._segment(row, column)[top:end, left:right]

    def _segment(self, row: int, column: int) -> Pixels:
        cache = shared_cache()
        if self._segment_bytes <= cache.max_bytes:
            return cache.get((self._number, row, column), lambda: self.decode(row, column))
        # Larger than the whole cache: kept by the page itself, or each tile would decode it anew.
        with self._large_lock:
            if (row, column) not in self._large:
                while len(self._large) >= _LARGE_KEPT:
                    self._large.popitem(last=False)
                self._large[row, column] = self.decode(row, column)
            self._large.move_to_end((row, column))
            return self._large[row, column]

    def forget(self) -> None:
        """Release what is cached of this page."""
        shared_cache().drop(self._number)
        with self._large_lock:
            self._large.clear()

    def decode(self, row: int, column: int) -> Pixels:
        """Read and decode a segment to RGB; at the right and lower border it is cut or padded."""
        planes = [self._plane(row, column, plane) for plane in range(self._planes)]
        samples = planes[0] if len(planes) == 1 else np.concatenate(planes, axis=2)
        return np.ascontiguousarray(self._rgb(samples))

    def _plane(self, row: int, column: int, plane: int) -> Pixels:
        index = (plane * self._rows + row) * self._columns + column
        offset, count = int(self._offsets[index]), int(self._counts[index])
        if count == 0:  # never written
            return self._blank(row)
        data = self._read(offset, count)
        pixels, _, _ = self._decode(data, index, **self._tables)
        array: Pixels = np.asarray(pixels)[0]
        return array * np.uint8(WHITE) if array.dtype == np.bool_ else array

    def _read(self, offset: int, count: int) -> bytes:
        data = self._file.read(offset, count)
        if len(data) < count:
            raise ValueError("it ends before its last strip or tile")
        return data

    def _blank(self, row: int) -> Pixels:
        height = min(self.segment_height, self.height - row * self.segment_height)
        value = 0 if self._photometric in (_WHITE_IS_ZERO, _PALETTE) else WHITE
        depth = 1 if self._planes > 1 else self.samples
        return np.full((height, self.segment_width, depth), value, np.uint8)

    def _rgb(self, samples: Pixels) -> Pixels:
        if self._palette is not None:
            return self._palette[samples[..., 0]]
        grey = self._photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO)
        colour = samples[..., :1] if grey else samples[..., :3]
        if self._photometric == _WHITE_IS_ZERO:
            colour = np.invert(colour)
        if samples.shape[2] > colour.shape[2]:
            colour = self._over_white(colour, samples[..., -1:])
        colours: Pixels = np.repeat(colour, 3, axis=2) if grey else colour
        return colours

    def _over_white(self, colour: Pixels, alpha: Pixels) -> Pixels:
        if alpha.min() == WHITE:
            return colour
        opaque = alpha.astype(np.uint16)
        light = colour.astype(np.uint16)
        if not self._associated:
            light = (light * opaque + WHITE // 2) // WHITE
        return np.asarray(np.minimum(light + (WHITE - opaque), WHITE), np.uint8)

    # --- uncompressed RGB: read without decoding or caching -------------------------------------

    def _is_plain_rgb(self, page: Any) -> bool:
        return bool(
            page.compression == _UNCOMPRESSED
            and page.predictor == 1
            and int(page.fillorder) == 1
            and self._photometric == _RGB
            and self.samples == 3
            and self._planes == 1
            and page.bitspersample == 8
        )

    def _plain_part(
        self, row: int, column: int, top: int, end: int, left: int, right: int
    ) -> Pixels:
        """Read a part of an uncompressed segment.

        By ordinary reads, not through a memory map: a file that is cut short while it is mapped
        would end the process (SIGBUS).
        """
        index = row * self._columns + column
        offset, count = int(self._offsets[index]), int(self._counts[index])
        line = self.segment_width * 3
        if count < end * line:
            raise ValueError("a strip or tile is too short")
        if (right - left) * 4 >= self.segment_width:  # most of each line: one read
            data = self._read(offset + top * line, (end - top) * line)
            whole = np.frombuffer(data, np.uint8).reshape(end - top, self.segment_width, 3)
            return whole[:, left:right]
        lines = (
            self._read(offset + at * line + left * 3, (right - left) * 3) for at in range(top, end)
        )
        return np.frombuffer(b"".join(lines), np.uint8).reshape(end - top, right - left, 3)


class Planes:
    """Three grey pages of one size that are red, green and blue."""

    samples = 3

    def __init__(self, pages: Sequence[Page]) -> None:
        self.pages = tuple(pages)
        self.width, self.height = pages[0].width, pages[0].height

    def read(self, x: int, y: int, width: int, height: int) -> Pixels:
        """Return RGB pixels of a region inside the pages."""
        channels = [page.read(x, y, width, height)[..., 0] for page in self.pages]
        return np.stack(channels, axis=2)

    def forget(self) -> None:
        """Release what is cached of the pages."""
        for page in self.pages:
            page.forget()


def _palette(page: Any) -> Pixels:
    table = np.asarray(page.colormap)
    eight = table >> 8 if table.dtype != np.uint8 else table
    colours: Pixels = np.zeros((256, 3), np.uint8)
    colours[: eight.shape[1]] = eight.T
    return colours
