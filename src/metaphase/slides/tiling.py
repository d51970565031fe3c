"""A regular grid of overlapping tiles, each the owner of a part of the image.

All lengths are pixels at the resolution that the network is fed with. Everything is a function of
sizes alone, so that the same picture gives the same tiles on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metaphase.boxes import as_points


def grid_starts(length: int, tile: int, stride: int) -> list[int]:
    """Return where tiles start so that they cover ``length``, the last flush with the end.

    An image not longer than a tile has a single tile, at 0. Tiles are ``stride`` apart but for the
    last, which overlaps more.
    """
    if length < 1 or tile < 1 or not 1 <= stride <= tile:
        raise ValueError(
            f"no grid of tiles of {tile} px every {stride} px over {length} px covers it once"
        )
    if length <= tile:
        return [0]
    starts = list(range(0, length - tile, stride))
    return [*starts, length - tile]


@dataclass(frozen=True, slots=True)
class Tile:
    """A rectangle to be fed to the network, and its core: the part whose detections it owns.

    ``core`` is x1, y1, x2, y2 in pixels of the whole image; a point belongs to it if
    ``x1 <= x < x2`` and ``y1 <= y < y2``. The cores of the outermost tiles reach to infinity, so
    that every point in and around the image belongs to exactly one tile.
    """

    x: int
    y: int
    width: int
    height: int
    core: tuple[float, float, float, float]

    def owns(self, points: ArrayLike) -> NDArray[np.bool_]:
        """Return a mask [n] of the points [n, 2] (pixels of the whole image) in the core."""
        p = as_points(points)
        x1, y1, x2, y2 = self.core
        return np.asarray((p[:, 0] >= x1) & (p[:, 0] < x2) & (p[:, 1] >= y1) & (p[:, 1] < y2))


def tile_grid(width: int, height: int, tile: int, overlap: int) -> list[Tile]:
    """Return the tiles of an image, row by row; neighbours overlap by at least ``overlap``.

    Every tile is ``tile`` x ``tile``, so one at the border of a small image reaches beyond it
    (white there). The border between the cores of two neighbours is the middle of their overlap.
    """
    if not 0 <= overlap < tile:
        raise ValueError(f"tiles of {tile} px cannot overlap by {overlap} px")
    columns = _cores(grid_starts(width, tile, tile - overlap), tile)
    rows = _cores(grid_starts(height, tile, tile - overlap), tile)
    return [Tile(x, y, tile, tile, (x1, y1, x2, y2)) for y, y1, y2 in rows for x, x1, x2 in columns]


def _cores(starts: Sequence[int], tile: int) -> list[tuple[int, float, float]]:
    middles = [(after + before + tile) / 2 for before, after in pairwise(starts)]
    edges = [-np.inf, *middles, np.inf]
    return [(start, *core) for start, core in zip(starts, pairwise(edges), strict=True)]


@dataclass(frozen=True, slots=True)
class Block:
    """Neighbouring tiles that are worked on, stored and resumed together.

    ``core`` is the union of the tiles' cores: a rectangle, too.
    """

    number: int
    tiles: tuple[Tile, ...]

    @property
    def core(self) -> tuple[float, float, float, float]:
        """The rectangle x1, y1, x2, y2 whose points the block owns."""
        return (
            min(t.core[0] for t in self.tiles),
            min(t.core[1] for t in self.tiles),
            max(t.core[2] for t in self.tiles),
            max(t.core[3] for t in self.tiles),
        )

    @property
    def bounds(self) -> tuple[int, int, int, int]:
        """The rectangle x, y, width, height that holds the block's tiles."""
        x, y = min(t.x for t in self.tiles), min(t.y for t in self.tiles)
        right = max(t.x + t.width for t in self.tiles)
        bottom = max(t.y + t.height for t in self.tiles)
        return x, y, right - x, bottom - y


def blocks(tiles: Sequence[Tile], side: int = 8) -> Iterator[Block]:
    """Group the tiles of a grid into blocks of up to ``side`` x ``side``, numbered row by row.

    A block's number and tiles depend on the grid alone; leave tiles out afterwards (``Block`` of
    the rest), not before, so that a resumed run finds the same blocks.
    """
    if side < 1:
        raise ValueError(f"a block of {side} tiles a side holds none")
    column = {x: i // side for i, x in enumerate(sorted({t.x for t in tiles}))}
    row = {y: i // side for i, y in enumerate(sorted({t.y for t in tiles}))}
    groups: dict[tuple[int, int], list[Tile]] = {}
    for tile in tiles:
        groups.setdefault((row[tile.y], column[tile.x]), []).append(tile)
    for number, key in enumerate(sorted(groups)):
        yield Block(number, tuple(groups[key]))
