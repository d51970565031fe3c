"""Hotspots: the places where a window of a given shape and area holds the most figures."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from metaphase.boxes import as_points
from metaphase.counting.coverage import Placement, Search, Space
from metaphase.counting.window import TOLERANCE_PX, Tissue, Window, WindowShape, tissue_fraction
from metaphase.errors import InputError
from metaphase.figures import FloatArray

LEAST_TISSUE = 0.5
"""A window may not be mostly glass."""


@dataclass(frozen=True, slots=True)
class Hotspot:
    """A window and what it holds.

    ``area_mm2`` is the part of the window inside the image, ``tissue_mm2`` the part that is tissue
    (the same without a tissue mask). ``mostly_glass`` tells that no window with enough tissue
    exists and that the condition was dropped.
    """

    window: Window
    count: int
    area_mm2: float
    tissue_mm2: float
    mostly_glass: bool = False

    @property
    def per_mm2(self) -> float:
        """Figures per mm2 of tissue; 0 where there is none."""
        return self.count / self.tissue_mm2 if self.tissue_mm2 > 0 else 0.0


def find_hotspots(
    points: ArrayLike,
    shape: WindowShape,
    mpp: float,
    *,
    size_px: tuple[float, float] | None = None,
    tissue: Tissue | None = None,
    least_tissue: float = LEAST_TISSUE,
    top: int = 1,
) -> list[Hotspot]:
    """Return up to ``top`` windows that hold the most of the points [n, 2], fullest first.

    The first is exact: no window of the shape, wherever it is put, holds more (closed windows: a
    figure on the edge counts). Each next is exact among the windows that do not overlap those
    before. With ``size_px`` (width, height) windows lie inside the image; where the image is
    narrower than the window, the window is centred across it and sticks out on both sides. With
    ``tissue``, at least the part ``least_tissue`` of a window is tissue, unless no such window
    holds a figure. A place without any figure is no hotspot, so the list may be shorter. The
    window is centred on its figures as far as all this allows.
    """
    if not (math.isfinite(mpp) and mpp > 0):
        raise InputError.of("count", f"the resolution is {mpp} um/px", way_out="give it with --mpp")
    remaining = as_points(points)
    found: list[Hotspot] = []
    glass = False
    while len(remaining) and len(found) < top:
        taken = [hotspot.window for hotspot in found]
        best = None
        if not glass:
            best = _fullest(remaining, shape, mpp, size_px, taken, tissue, least_tissue)
        if best is None and tissue is not None and (glass or not found):
            glass = True  # a slide of small crumbs: better a told exception than no count
            best = _fullest(remaining, shape, mpp, size_px, taken, None, 0)
        if best is None:
            break
        inside = best.contains(remaining)
        found.append(_hotspot(best, int(inside.sum()), mpp, size_px, tissue, glass))
        remaining = remaining[~inside]
    return sorted(found, key=lambda hotspot: -hotspot.count)


def _fullest(
    points: FloatArray,
    shape: WindowShape,
    mpp: float,
    size_px: tuple[float, float] | None,
    taken: list[Window],
    tissue: Tissue | None,
    least: float,
) -> Window | None:
    """Return the fullest window over all the ways that the shape may lie."""
    best: tuple[int, Window] | None = None
    for width, height in shape.sizes_px(mpp):
        task = _Task(points, shape, (width, height), size_px, taken, tissue, least)
        window = task.solve()
        if window is not None:
            count = int(window.contains(points).sum())
            if best is None or count > best[0]:
                best = count, window
    return best[1] if best else None


class _Task:
    """The search for a window of one size, scaled so that a rectangle is a square."""

    def __init__(
        self,
        points: FloatArray,
        shape: WindowShape,
        side_px: tuple[float, float],
        size_px: tuple[float, float] | None,
        taken: list[Window],
        tissue: Tissue | None,
        least: float,
    ) -> None:
        self.points, self.kind, self.side = points, shape.kind, side_px
        self.size_px, self.taken, self.tissue, self.least = size_px, taken, tissue, least
        self.scale = np.array([1.0, side_px[0] / side_px[1]])

    def solve(self) -> Window | None:
        asked = self.tissue is not None and self.least > 0
        fraction = self._fraction if asked else None
        space = Space(self._region(), self._taken(), fraction, self.least)
        norm = 2.0 if self.kind == "circle" else np.inf
        tolerance = TOLERANCE_PX * min(1.0, self.scale[1])
        search = Search(self.points * self.scale, self.side[0] / 2, norm, space, tolerance)
        placement = search.run()
        if placement is None:
            return None
        window = self._window(placement.x, placement.y)
        return self._centred(window, placement)

    def _window(self, x: float, y: float) -> Window:
        return Window(self.kind, float(x), float(y / self.scale[1]), *self.side)

    def _fraction(self, centres: FloatArray) -> FloatArray:
        assert self.tissue is not None
        return tissue_fraction(self.tissue, self._window(0, 0), centres / self.scale)

    def _limits(self) -> FloatArray:
        """Return the lowest and highest centre [2, 2] in pixels."""
        if self.size_px is None:
            half = np.array(self.side) / 2
            return np.stack([self.points.min(axis=0) - half, self.points.max(axis=0) + half])
        half, size = np.array(self.side) / 2, np.array(self.size_px, dtype=np.float64)
        low, high = half, size - half
        narrow = low > high
        return np.stack([np.where(narrow, size / 2, low), np.where(narrow, size / 2, high)])

    def _region(self) -> tuple[float, float, float, float]:
        (x1, y1), (x2, y2) = self._limits() * self.scale
        return float(x1), float(y1), float(x2), float(y2)

    def _taken(self) -> FloatArray:
        rows = [
            (w.x_px, w.y_px, (w.width_px + self.side[0]) / 2, (w.height_px + self.side[1]) / 2)
            for w in self.taken
        ]
        return np.asarray(np.array(rows, np.float64).reshape(-1, 4) * np.tile(self.scale, 2))

    def _centred(self, window: Window, placement: Placement) -> Window:
        """Move the window over the middle of its figures if nothing is lost by it."""
        inside = self.points[window.contains(self.points)]
        middle = (inside.min(axis=0) + inside.max(axis=0)) / 2
        if self.kind == "circle":
            middle = _middle_of_disc(inside, middle)
        low, high = self._limits()
        x, y = np.clip(middle, low, high)
        moved = Window(self.kind, float(x), float(y), *self.side)
        good = (
            int(moved.contains(self.points).sum()) >= placement.count
            and not any(moved.overlaps(other) for other in self.taken)
            and (
                self.tissue is None
                or self.least <= 0
                or bool(
                    tissue_fraction(self.tissue, moved, [[moved.x_px, moved.y_px]])[0] >= self.least
                )
            )
        )
        return moved if good else window


def _middle_of_disc(points: FloatArray, start: FloatArray, steps: int = 200) -> FloatArray:
    """Approach the centre of the smallest disc around points (Badoiu and Clarkson 2003)."""
    centre = start
    for step in range(1, steps + 1):
        away = points - centre
        far = int(np.argmax((away**2).sum(axis=1)))
        centre = centre + away[far] / (step + 1)
    return centre


def _hotspot(
    window: Window,
    count: int,
    mpp: float,
    size_px: tuple[float, float] | None,
    tissue: Tissue | None,
    glass: bool,
) -> Hotspot:
    whole = window.area_mm2(mpp)
    area = whole if size_px is None else min(whole, _inside_mm2(window, size_px, mpp))
    covered = area
    if tissue is not None:
        part = tissue_fraction(tissue, window, [[window.x_px, window.y_px]])[0]
        covered = min(area, float(part) * whole)
    return Hotspot(window, count, area, covered, glass)


def _inside_mm2(window: Window, size_px: tuple[float, float], mpp: float) -> float:
    """Return the area of the part of a window that lies inside the image."""
    width, height = size_px
    x1, y1, x2, y2 = window.box
    if x1 >= 0 and y1 >= 0 and x2 <= width and y2 <= height:
        return window.area_mm2(mpp)
    total = 0.0
    for a1, b1, a2, b2 in window.strips(2048):
        across = max(0.0, min(a2, width) - max(a1, 0))
        total += across * max(0.0, min(b2, height) - max(b1, 0))
    return total * mpp**2 * 1e-6
