"""The grid of overlapping tiles over an image, and which tile owns which place.

The grid covers the whole image in network pixels, also where only a region is analysed, so that a
region has the same tiles as in the whole slide. Tiles overlap by twice the margin. The last tile of
a row or column ends at the border of the image. Every place belongs to exactly one tile: the border
between two tiles is the middle of their overlap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from metaphase.arrays import BoolArray, FloatArray, IntArray
from metaphase.models.card import InputSpec
from metaphase.slides.tiling import grid_starts

LARGEST = 1.5
"""Side of the largest tile, in sides of the model's."""
LEAST_SAVING = 0.15
"""Another side than the model's must save this share of the pixels. On a whole slide it saves less:
the overlap of larger tiles is smaller, but they take more memory and more time per pixel (1.05
times at 768 px)."""


def tile_side(width_px: int, height_px: int, scale: float, spec: InputSpec) -> int:
    """Return the side in network pixels of the tiles that cover an image.

    An image that is a little larger than a tile would be covered by four that mostly overlap. So a
    side is chosen that takes fewer pixels in all, where one saves ``LEAST_SAVING``. ``scale`` is as
    in ``Grid``.
    """
    lengths = [max(1, math.ceil(length / scale - 1e-9)) for length in (width_px, height_px)]

    def cost(side: int) -> int:
        stride = side - 2 * spec.margin_px
        return side**2 * math.prod(len(grid_starts(length, side, stride)) for length in lengths)

    usual = cost(spec.tile_px)
    smallest, largest = 2 * spec.margin_px + 1, int(LARGEST * spec.tile_px)
    sides = range(spec.multiple_px, largest + 1, spec.multiple_px)
    best = min((side for side in sides if side >= smallest), key=cost, default=spec.tile_px)
    return best if cost(best) <= (1 - LEAST_SAVING) * usual else spec.tile_px


@dataclass(frozen=True)
class Grid:
    """Tiles of ``tile`` network pixels over an image of ``width_px`` by ``height_px``.

    ``scale`` is the number of full-resolution pixels in a network pixel. Tiles are numbered by
    rows: number ``row * columns + column``.
    """

    width_px: int
    height_px: int
    scale: float
    tile: int
    margin: int

    def __post_init__(self) -> None:
        if self.tile <= 2 * self.margin:
            raise ValueError(
                f"a margin of {self.margin} px leaves nothing of a {self.tile} px tile"
            )

    @cached_property
    def starts_x(self) -> IntArray:
        """Left edges of the columns, in network pixels."""
        return self._starts(self.width_px)

    @cached_property
    def starts_y(self) -> IntArray:
        """Upper edges of the rows, in network pixels."""
        return self._starts(self.height_px)

    def __len__(self) -> int:
        return len(self.starts_x) * len(self.starts_y)

    def corner(self, number: int) -> tuple[int, int]:
        """Return the top-left corner x, y of a tile in network pixels."""
        row, column = divmod(number, len(self.starts_x))
        return int(self.starts_x[column]), int(self.starts_y[row])

    @cached_property
    def owned_px(self) -> FloatArray:
        """The rectangles x1, y1, x2, y2 [tiles, 4] owned, in full-resolution pixels.

        They cover the image without gaps and overlaps.
        """
        x = self._borders(self.starts_x, self.width_px)
        y = self._borders(self.starts_y, self.height_px)
        columns, rows = len(self.starts_x), len(self.starts_y)
        return np.stack(
            [
                np.tile(x[:-1], rows),
                np.repeat(y[:-1], columns),
                np.tile(x[1:], rows),
                np.repeat(y[1:], columns),
            ],
            axis=1,
        )

    def keeps(self, number: int, x_px: FloatArray, y_px: FloatArray, slack_px: float) -> BoolArray:
        """Return which points [n] (full-resolution pixels) a tile keeps: what it owns, and a slack.

        Two tiles can place a figure on their border each on the other's side. With the slack both
        keep it, and merging removes the second. The slack also holds outside of the image.
        """
        x1, y1, x2, y2 = self.owned_px[number]
        inside_x = (x_px >= x1 - slack_px) & (x_px <= x2 + slack_px)
        return np.asarray(inside_x & (y_px >= y1 - slack_px) & (y_px <= y2 + slack_px))

    def touching(self, box_px: tuple[float, float, float, float]) -> IntArray:
        """Return the numbers of the tiles that own part of a box x1, y1, x2, y2."""
        x1, y1, x2, y2 = box_px
        own = self.owned_px
        hit = (own[:, 0] < x2) & (own[:, 2] > x1) & (own[:, 1] < y2) & (own[:, 3] > y1)
        return np.flatnonzero(hit)

    def _starts(self, length_px: int) -> IntArray:
        length = max(1, math.ceil(length_px / self.scale - 1e-9))
        return np.array(grid_starts(length, self.tile, self.tile - 2 * self.margin))

    def _borders(self, starts: IntArray, length_px: int) -> FloatArray:
        middle = (starts[1:] + starts[:-1] + self.tile) / 2 * self.scale
        return np.concatenate([[0.0], middle, [float(length_px)]])
