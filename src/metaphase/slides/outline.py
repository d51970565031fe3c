"""Conversion between masks and polygons, exact in both directions.

Polygons follow the borders of the mask's cells, so that filling them gives the same mask. All
coordinates are cells of the mask: cell (row i, column j) covers x from j to j + 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from metaphase.arrays import BoolArray
from metaphase.qupath.geometry import Polygon, Ring

_RIGHT, _DOWN, _LEFT, _UP = range(4)
_STEP = ((1, 0), (0, 1), (-1, 0), (0, -1))


def trace(mask: BoolArray) -> list[Polygon]:
    """Return one polygon for each 4-connected part of a mask, with its holes."""
    from scipy import ndimage

    labels, count = ndimage.label(mask)
    polygons: list[Polygon] = [[] for _ in range(count)]
    leaving = _edges(mask)
    for start in list(leaving):
        while start in leaving:
            ring, inside = _follow(leaving, start, leaving[start][0])
            polygon = polygons[labels[inside[1], inside[0]] - 1]
            # With the inside on the right, exteriors and holes have opposite orientations.
            polygon.insert(0 if _twice_area(ring) > 0 else len(polygon), ring)
    return polygons


def _edges(mask: BoolArray) -> dict[tuple[int, int], list[int]]:
    """Return the directions of the border edges that leave each corner, the inside to the right."""
    padded = np.pad(mask, 1)
    here, above = padded[1:, 1:], padded[:-1, 1:]
    before = padded[1:, :-1]
    leaving: dict[tuple[int, int], list[int]] = {}
    borders = (
        (here & ~above, _RIGHT, 0, 0),
        (here & ~before, _UP, 0, 1),
        (~here & above, _LEFT, 1, 0),
        (~here & before, _DOWN, 0, 0),
    )
    for border, direction, right, down in borders:
        rows, columns = np.nonzero(border)
        for x, y in zip((columns + right).tolist(), (rows + down).tolist(), strict=True):
            leaving.setdefault((x, y), []).append(direction)
    return leaving


def _follow(
    leaving: dict[tuple[int, int], list[int]], start: tuple[int, int], direction: int
) -> tuple[Ring, tuple[int, int]]:
    """Walk along the border until it closes; return its corners and a cell inside."""
    ring: Ring = [start]
    at, way = start, direction
    while True:
        _take(leaving, at, way)
        last, at = way, (at[0] + _STEP[way][0], at[1] + _STEP[way][1])
        ways = [*leaving.get(at, ()), *([direction] if at == start else ())]
        # Where two cells touch at a corner, turn right: they stay apart.
        way = min(ways, key=lambda turn: (turn - last - 1) % 4)
        if way != last or at == start:
            ring.append(at)
        if at == start and way == direction:
            return ring, _cell_right_of(start, direction)


def _take(leaving: dict[tuple[int, int], list[int]], corner: tuple[int, int], way: int) -> None:
    leaving[corner].remove(way)
    if not leaving[corner]:
        del leaving[corner]


def _cell_right_of(corner: tuple[int, int], direction: int) -> tuple[int, int]:
    x, y = corner
    return {
        _RIGHT: (x, y),
        _DOWN: (x - 1, y),
        _LEFT: (x - 1, y - 1),
        _UP: (x, y - 1),
    }[direction]


def _twice_area(ring: Sequence[tuple[float, float]]) -> float:
    points = np.asarray(ring, dtype=np.float64)
    x, y = points[:, 0], points[:, 1]
    return float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]))


def fill(polygons: Iterable[Polygon], width: int, height: int) -> BoolArray:
    """Return the mask [height, width] of the cells whose centre lies in any of the polygons."""
    mask = np.zeros((height, width), dtype=bool)
    for rings in polygons:
        mask |= _fill_one(rings, width, height)
    return mask


def _fill_one(rings: Polygon, width: int, height: int) -> BoolArray:
    """Fill by the even-odd rule: cells with an odd number of borders to their left."""
    crossings = np.zeros((height, width + 1), np.uint8)
    for ring in rings:
        points = np.asarray(ring, dtype=np.float64).reshape(-1, 2)
        for (x1, y1), (x2, y2) in zip(points, np.roll(points, -1, axis=0), strict=True):
            if y1 > y2:
                x1, y1, x2, y2 = x2, y2, x1, y1
            first = int(np.clip(np.ceil(y1 - 0.5), 0, height))
            last = int(np.clip(np.ceil(y2 - 0.5), 0, height))
            if first >= last:
                continue
            rows = np.arange(first, last)
            x = x1 + (rows + 0.5 - y1) * (x2 - x1) / (y2 - y1)
            columns = np.clip(np.ceil(x - 0.5), 0, width).astype(np.int64)
            np.add.at(crossings, (rows, columns), 1)
    return np.bitwise_xor.accumulate(crossings[:, :width] & 1, axis=1).astype(np.bool_)
