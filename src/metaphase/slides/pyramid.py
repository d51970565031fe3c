"""The part common to all slides: levels, geometry, white outside. Readers only fetch pixels."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from metaphase.arrays import Pixels
from metaphase.errors import SlideError
from metaphase.slides.mpp import MppHints, Resolution
from metaphase.slides.resample import Axis, clip_span, extend, resize, snap
from metaphase.slides.slide import WHITE, Slide

MAX_PIXELS_AT_ONCE = 1 << 24
"""Level pixels fetched at once (48 MiB); larger regions are read in parts."""

_LEVEL_TOLERANCE = 1.01
_FLAT = 1024


@dataclass(frozen=True, slots=True)
class Level:
    """One resolution of a slide; ``x`` and ``y`` are its downsamples."""

    width: int
    height: int
    x: float
    y: float

    @classmethod
    def of(cls, width: int, height: int, full_width: int, full_height: int) -> Level:
        """Make a level, undoing the rounding of its size where its downsample is a whole number.

        A slide of 32914 px has 8228 px at a downsample of 4, not at one of 4.0003.
        """
        whole = round(full_width / width)
        fits = all(
            abs(full / whole - size) < 1
            for full, size in ((full_width, width), (full_height, height))
        )
        if fits:
            return cls(width, height, float(whole), float(whole))
        return cls(width, height, full_width / width, full_height / height)

    @property
    def downsample(self) -> float:
        """The mean downsample."""
        return (self.x + self.y) / 2


class PyramidSlide(Slide):
    """A slide of one or more levels. Subclasses open the file and fetch level pixels."""

    levels: tuple[Level, ...]

    def __init__(self, path: Path, hints: MppHints) -> None:
        self.path = path
        self._hints = hints
        self._closed = False

    def _describe(
        self,
        levels: Sequence[Level],
        properties: Mapping[str, str],
        resolution: Resolution | None,
        notes: Sequence[str] = (),
    ) -> None:
        """Set the attributes of ``Slide``. Raises UnknownMppError."""
        self.levels = tuple(levels)
        self.width_px, self.height_px = levels[0].width, levels[0].height
        self.level_downsamples = tuple(level.downsample for level in levels)
        self.properties = dict(properties)
        self.mpp, self.mpp_source, more = self._hints.resolve(self.path, resolution)
        self.notes = (*notes, *more)

    @abstractmethod
    def _fetch(
        self, level: int, x: int, y: int, width: int, height: int
    ) -> tuple[Pixels, float, float]:
        """Return pixels inside a level, and the level coordinates of their corner.

        The corner is ``x, y``, except for readers that can only start near it.
        """

    def read(
        self, x_px: float, y_px: float, width: int, height: int, mpp: float | None = None
    ) -> Pixels:
        """See ``Slide.read``."""
        if width < 1 or height < 1:
            raise ValueError(f"a region of {width} x {height} px cannot be read")
        if mpp is not None and not mpp > 0:
            raise ValueError(f"mpp must be above 0, not {mpp}")
        ratio = 1.0 if mpp is None else snap(mpp / self.mpp)
        index = self._level_for(ratio)
        level = self.levels[index]
        x = Axis(
            snap(x_px / level.x), snap(ratio / level.x), width, self.width_px / level.x, level.width
        )
        y = Axis(
            snap(y_px / level.y),
            snap(ratio / level.y),
            height,
            self.height_px / level.y,
            level.height,
        )
        (left, right), (top, bottom) = x.inside(), y.inside()
        if (left, right, top, bottom) == (0, width, 0, height):
            return self._inside(index, x, y)
        out = np.full((height, width, 3), WHITE, np.uint8)
        if left < right and top < bottom:
            part = self._inside(index, x.part(left, right), y.part(top, bottom))
            out[top:bottom, left:right] = part
        return out

    def _level_for(self, ratio: float) -> int:
        fine = [i for i, d in enumerate(self.level_downsamples) if d <= ratio * _LEVEL_TOLERANCE]
        return max(fine, key=lambda i: self.level_downsamples[i], default=0)

    def _inside(self, index: int, x: Axis, y: Axis) -> Pixels:
        """Return output pixels whose centres are in the image; large regions in parts."""
        need_x, need_y = x.span(), y.span()
        level = self.levels[index]
        have_x, have_y = clip_span(need_x, level.width), clip_span(need_y, level.height)
        rows, columns = have_y[1] - have_y[0], have_x[1] - have_x[0]
        if rows * columns > MAX_PIXELS_AT_ONCE and x.count * y.count > 1:
            return self._in_parts(index, x, y, flat=rows <= _FLAT)
        pixels, at_x, at_y = self._fetch(index, have_x[0], have_y[0], columns, rows)
        pixels = extend(extend(pixels, have_x, need_x, 1), have_y, need_y, 0)
        if x.exact and y.exact and (at_x, at_y) == (have_x[0], have_y[0]):
            return pixels
        moved_x, moved_y = at_x - have_x[0], at_y - have_y[0]
        return resize(pixels, x, y, need_x[0] + moved_x, need_y[0] + moved_y)

    def _in_parts(self, index: int, x: Axis, y: Axis, *, flat: bool) -> Pixels:
        # Bands of rows first: by columns, strips would be decoded twice.
        if x.count > 1 and (flat or y.count == 1):
            half = x.count // 2
            parts = [(x.part(0, half), y), (x.part(half, x.count), y)]
            axis = 1
        else:
            half = y.count // 2
            parts = [(x, y.part(0, half)), (x, y.part(half, y.count))]
            axis = 0
        return np.concatenate([self._inside(index, *part) for part in parts], axis=axis)

    def _check_open(self) -> None:
        if self._closed:
            raise SlideError.of(self.path, "is closed", way_out="open it again")

    def close(self) -> None:
        """Close the file. Further reads raise SlideError."""
        self._closed = True

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path, self._hints)


def process() -> int:
    """Return the id of this process: handles of a parent must not be used after a fork."""
    return os.getpid()
