"""One page of a TIFF file: where its strips or tiles are, and how they become RGB."""

from __future__ import annotations

import itertools
import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaphase.slides.segments import SharedFile, shared_cache
from metaphase.slides.slide import WHITE, Pixels

MAX_SEGMENT_BYTES = 1 << 30

_CONTIGUOUS = 1
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6
_ASSOCIATED = 1
_UNCOMPRESSED = 1
_JPEG = 7
_numbers = itertools.count()


class Unfit(ValueError):
    """A well-formed page that is no picture for us."""

    def __init__(self, message: str, way_out: str = "export it as 8-bit RGB") -> None:
        super().__init__(message)
        self.way_out = way_out


class Page:
    """A page whose segments (strips or tiles, on a grid of rows and columns) can be decoded.

    Raises Unfit for pages that are not 8-bit grey, palette or RGB pictures, and ValueError where
    segments lie beyond the end of the file.
    """

    def __init__(self, page: Any, file: SharedFile, path: Path) -> None:
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
        self._offsets = np.asarray(page.dataoffsets, np.int64)
        self._counts = np.asarray(page.databytecounts, np.int64)
        self._file = file
        self._check_segments()
        self._decode = page.decode
        self._tables: dict[str, Any] = {}
        if page.compression == _JPEG:
            self._tables["jpegtables"] = page.jpegtables
        extra = [int(kind) for kind in page.extrasamples]
        self._associated = bool(extra) and extra[0] == _ASSOCIATED
        self._palette = _palette(page) if self._photometric == _PALETTE else None
        self._map = self._mapped(page, path)

    def _check(self, page: Any) -> None:
        if self.width < 1 or self.height < 1:
            raise ValueError("it has no pixels")
        bits = int(page.bitspersample)
        fits = bits in (1, 8) or (bits < 8 and self._photometric == _PALETTE)
        if page.dtype is None or page.dtype.kind not in "ub" or not fits:
            raise Unfit(f"has {bits} bits a sample of kind {page.dtype}; 8-bit ones are needed")
        colours = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _PALETTE: 1, _YCBCR: 3}
        if self._photometric not in colours:
            raise Unfit(f"has the colour space {page.photometric!s}, which cannot be read")
        if not colours[self._photometric] <= self.samples <= colours[self._photometric] + 1:
            raise Unfit(f"has {self.samples} channels; it is no RGB or grey picture")
        if int(page.imagedepth) > 1:
            raise Unfit("is a volume", way_out="export one plane of it")

    def _check_segments(self) -> None:
        needed = self._rows * self._columns * self._planes
        if len(self._offsets) < needed or len(self._counts) < needed:
            raise ValueError(f"{needed} strips or tiles are needed, {len(self._offsets)} are there")
        if (self._offsets < 0).any() or (self._counts < 0).any():
            raise ValueError("its table of strips or tiles is wrong")
        if int((self._offsets + self._counts).max()) > self._file.size:
            raise ValueError("it ends before its last strip or tile")
        if self.segment_width * self.segment_height * self.samples > MAX_SEGMENT_BYTES:
            raise Unfit(
                f"has strips or tiles of {self.segment_width} x {self.segment_height} px, "
                "which can only be decoded whole",
                way_out="convert it to a tiled TIFF",
            )

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
            segment = self._segment(row, column)
            top, left = row * self.segment_height, column * self.segment_width
            y0, y1 = max(top, y), min(top + segment.shape[0], y + height)
            x0, x1 = max(left, x), min(left + segment.shape[1], x + width)
            out[y0 - y : y1 - y, x0 - x : x1 - x] = segment[
                y0 - top : y1 - top, x0 - left : x1 - left
            ]
        return out

    def _segment(self, row: int, column: int) -> Pixels:
        if (view := self.view(row, column)) is not None:
            return view
        key = (self._number, row, column)
        return shared_cache().get(key, lambda: self.decode(row, column))

    def forget(self) -> None:
        """Give back what the cache holds of this page."""
        shared_cache().drop(self._number)

    def decode(self, row: int, column: int) -> Pixels:
        """Read and decode a segment to RGB; at the right and lower border it is cut or padded."""
        planes = [self._plane(row, column, plane) for plane in range(self._planes)]
        samples = planes[0] if len(planes) == 1 else np.concatenate(planes, axis=2)
        return np.ascontiguousarray(self._rgb(samples))

    def _plane(self, row: int, column: int, plane: int) -> NDArray[np.uint8]:
        index = (plane * self._rows + row) * self._columns + column
        offset, count = int(self._offsets[index]), int(self._counts[index])
        if count == 0:  # never written
            return self._blank(row)
        data = self._file.read(offset, count)
        if len(data) < count:
            raise ValueError("it ends before its last strip or tile")
        pixels, _, _ = self._decode(data, index, **self._tables)
        array: NDArray[np.uint8] = np.asarray(pixels)[0]
        return array * np.uint8(WHITE) if array.dtype == np.bool_ else array

    def _blank(self, row: int) -> NDArray[np.uint8]:
        height = min(self.segment_height, self.height - row * self.segment_height)
        value = 0 if self._photometric in (_WHITE_IS_ZERO, _PALETTE) else WHITE
        depth = 1 if self._planes > 1 else self.samples
        return np.full((height, self.segment_width, depth), value, np.uint8)

    def _rgb(self, samples: NDArray[np.uint8]) -> Pixels:
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

    def _over_white(self, colour: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> Pixels:
        if alpha.min() == WHITE:
            return colour
        opaque = alpha.astype(np.uint16)
        light = colour.astype(np.uint16)
        if not self._associated:
            light = (light * opaque + WHITE // 2) // WHITE
        return np.asarray(np.minimum(light + (WHITE - opaque), WHITE), np.uint8)

    def _mapped(self, page: Any, path: Path) -> NDArray[np.uint8] | None:
        """Map a file of plain RGB into memory: there is nothing to decode."""
        plain = (
            page.compression == _UNCOMPRESSED
            and page.predictor == 1
            and self._photometric == _RGB
            and self.samples == 3
            and self._planes == 1
            and page.bitspersample == 8
        )
        if not plain or self._file.size == 0:
            return None
        with path.open("rb") as stream:
            mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        return np.frombuffer(mapped, np.uint8)

    def view(self, row: int, column: int) -> Pixels | None:
        """Return a segment without reading it, if it is stored as plain RGB; else None."""
        if self._map is None:
            return None
        index = row * self._columns + column
        offset, count = int(self._offsets[index]), int(self._counts[index])
        line = self.segment_width * 3
        rows = min(self.segment_height, self.height - row * self.segment_height)
        if count < rows * line:
            if count == 0:
                return None
            raise ValueError("a strip or tile is too short")
        return self._map[offset : offset + rows * line].reshape(rows, self.segment_width, 3)


def _palette(page: Any) -> Pixels:
    table = np.asarray(page.colormap)
    eight = table >> 8 if table.dtype != np.uint8 else table
    colours: Pixels = np.zeros((256, 3), np.uint8)
    colours[: eight.shape[1]] = eight.T
    return colours
