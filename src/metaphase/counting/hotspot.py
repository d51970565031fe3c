"""Hotspots: the places where a window of a given shape and area holds the most figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from metaphase.arrays import FloatArray
from metaphase.boxes import as_points
from metaphase.counting.placement import Placement, Search, Space
from metaphase.counting.window import (
    TOLERANCE_PX,
    Box,
    Tissue,
    Window,
    WindowShape,
    tissue_fraction,
)
from metaphase.errors import InputError

LEAST_TISSUE = 0.5
"""Least share of tissue in a window."""

WITHIN_ROI = 0.98
"""Least share of a window inside the region of interest; less than 1 because masks have steps."""

Needs = Sequence[tuple[Tissue, float]]
"""Masks, and the least share of a window that must lie in each."""


@dataclass(frozen=True, slots=True)
class Hotspot:
    """A window and its count.

    ``area_mm2`` is the part of the window inside the image (or the analysed region),
    ``tissue_mm2`` the part of it that is tissue (the same without a tissue mask).
    ``mostly_glass`` says that no window with a figure has the least share of tissue.
    """

    window: Window
    count: int
    area_mm2: float
    tissue_mm2: float
    mostly_glass: bool = False

    @property
    def per_mm2(self) -> float:
        """Figures per mm2 of tissue; 0 without tissue."""
        return self.count / self.tissue_mm2 if self.tissue_mm2 > 0 else 0.0


def find_hotspots(
    points: ArrayLike,
    shape: WindowShape,
    mpp: float,
    *,
    within_px: Box | None = None,
    tissue: Tissue | None = None,
    least_tissue: float = LEAST_TISSUE,
    roi: Tissue | None = None,
    top: int = 1,
) -> list[Hotspot]:
    """Return up to ``top`` windows with the most of the points [n, 2], largest count first.

    The first is exact: no window of the shape at any position holds more (windows are closed: a
    figure on the edge counts). Each next one is exact among the windows that do not overlap those
    before. With ``within_px`` (x1, y1, x2, y2: the image, or the analysed region) windows lie
    inside it; if it is narrower than the window, the window is centred on it and reaches out on
    both sides. With ``tissue``, at least the share ``least_tissue`` of a window is tissue, unless
    no such window holds a figure. With ``roi``, windows lie in that region of interest; if none
    fits, the requirement on tissue remains, where ``tissue`` must be that inside the region. A
    window without figures is no hotspot, so that the list may be shorter than ``top``. Each window
    is centred on its figures as far as these conditions allow.
    """
    if not (math.isfinite(mpp) and mpp > 0):
        raise InputError.of("count", f"the resolution is {mpp} um/px", way_out="give it with --mpp")
    remaining = as_points(points)
    hotspots: list[Hotspot] = []
    stages = _stages(tissue, least_tissue, roi)
    required = bool(stages[0])
    while len(remaining) and len(hotspots) < top:
        taken = [hotspot.window for hotspot in hotspots]
        best = _fullest(remaining, shape, mpp, within_px, taken, stages[0])
        while best is None and not hotspots and len(stages) > 1:
            # Tissue in small fragments: count without the requirement and say so.
            stages = stages[1:]
            best = _fullest(remaining, shape, mpp, within_px, taken, stages[0])
        if best is None:
            break
        inside = best.contains(remaining)
        hotspot = _hotspot(best, int(inside.sum()), mpp, within_px, tissue)
        dropped = required and not stages[0]
        glass = dropped and hotspot.tissue_mm2 < least_tissue * hotspot.area_mm2
        hotspots.append(replace(hotspot, mostly_glass=glass))
        remaining = remaining[~inside]
    return sorted(hotspots, key=lambda hotspot: -hotspot.count)


def _stages(tissue: Tissue | None, least: float, roi: Tissue | None) -> list[Needs]:
    """Return the requirements on a window, followed by weaker ones if no window meets them."""
    glass = [] if tissue is None or least <= 0 else [(tissue, least)]
    stages: list[Needs] = [] if roi is None else [[*glass, (roi, WITHIN_ROI)]]
    if glass:
        stages.append(glass)
    return [*stages, []]


def _fullest(
    points: FloatArray,
    shape: WindowShape,
    mpp: float,
    within_px: Box | None,
    taken: list[Window],
    needs: Needs,
) -> Window | None:
    """Return the window with the most points over all orientations of the shape."""
    best: tuple[int, Window] | None = None
    for width, height in shape.sizes_px(mpp):
        task = _Task(points, shape, (width, height), within_px, taken, needs)
        window = task.solve()
        if window is not None:
            count = int(window.contains(points).sum())
            if best is None or count > best[0]:
                best = count, window
    return best[1] if best else None


class _Task:
    """The search for a window of one size, with y scaled so that a rectangle is a square."""

    def __init__(
        self,
        points: FloatArray,
        shape: WindowShape,
        side_px: tuple[float, float],
        within_px: Box | None,
        taken: list[Window],
        needs: Needs,
    ) -> None:
        self.points, self.kind, self.side = points, shape.kind, side_px
        self.within, self.taken, self.needs = within_px, taken, needs
        self.scale = np.array([1.0, side_px[0] / side_px[1]])

    def solve(self) -> Window | None:
        fraction = self._spare if self.needs else None
        space = Space(self._region(), self._taken(), fraction, 0.0)
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

    def _spare(self, centres: FloatArray) -> FloatArray:
        """Return by how much windows at scaled centres [n, 2] exceed the requirements."""
        window, places = self._window(0, 0), centres / self.scale
        parts = [tissue_fraction(mask, window, places) - least for mask, least in self.needs]
        return np.asarray(np.min(parts, axis=0))

    def _limits(self) -> FloatArray:
        """Return the lowest and highest centre [2, 2] in pixels."""
        half = np.array(self.side) / 2
        if self.within is None:
            return np.stack([self.points.min(axis=0) - half, self.points.max(axis=0) + half])
        first, last = np.array(self.within, dtype=np.float64).reshape(2, 2)
        low, high, middle = first + half, last - half, (first + last) / 2
        narrow = low > high
        return np.stack([np.where(narrow, middle, low), np.where(narrow, middle, high)])

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
        """Centre the window on its figures if it loses none of them."""
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
            and (not self.needs or bool(self._spare(np.array([moved.centre]) * self.scale)[0] >= 0))
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
    within_px: Box | None,
    tissue: Tissue | None,
) -> Hotspot:
    whole = window.area_mm2(mpp)
    area = whole if within_px is None else min(whole, inside_mm2(window, within_px, mpp))
    covered = area
    if tissue is not None:
        part = tissue_fraction(tissue, window, [[window.x_px, window.y_px]])[0]
        covered = min(area, float(part) * whole)
    return Hotspot(window, count, area, covered)


def inside_mm2(window: Window, within_px: Box, mpp: float) -> float:
    """Return the area of the part of a window inside a box."""
    left, top, right, bottom = within_px
    x1, y1, x2, y2 = window.box
    if x1 >= left and y1 >= top and x2 <= right and y2 <= bottom:
        return window.area_mm2(mpp)
    if window.kind == "rectangle":
        across, down = min(x2, right) - max(x1, left), min(y2, bottom) - max(y1, top)
        return max(0.0, across) * max(0.0, down) * mpp**2 * 1e-6
    total = 0.0
    for a1, b1, a2, b2 in window.strips(2048):
        across = max(0.0, min(a2, right) - max(a1, left))
        total += across * max(0.0, min(b2, bottom) - max(b1, top))
    return total * mpp**2 * 1e-6
