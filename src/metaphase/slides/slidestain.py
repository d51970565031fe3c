"""The stains of a whole slide, estimated from tiles spread over it.

The stains of a small region are uncertain where it holds one cell type only; those of a slide are
estimated once, from all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from metaphase.arrays import Pixels
from metaphase.slides.slide import Slide
from metaphase.stain.macenko import Macenko
from metaphase.stain.masks import stained_mask

TILE_PX, TILE_MPP = 64, 1.0
TILES_PER_SIDE = 16, 32
"""Most tiles along each side of a slide. The second number is used where the first finds too little
tissue, as of a biopsy."""
MIN_STAINED_SHARE = 0.1
"""Share of a tile that must be stained."""
MIN_STAINED_MM2 = 0.05
"""Less stained area shows a few cells, not a laboratory's stain."""


def slide_stain(slide: Slide) -> Macenko | None:
    """Return the stains of a whole slide; None where too little of it is stained.

    The numbers are rounded as in files, so that values read from a file give the same pixels. They
    do not depend on the part of the slide that is analysed.
    """
    return stain_of_tiles(stain_tiles(slide))


def stain_of_tiles(tiles: Sequence[Pixels]) -> Macenko | None:
    """Return the stains of the ``stain_tiles`` of one slide, or of several together."""
    if not _enough(tiles):
        return None
    stain = Macenko.estimate(np.concatenate(tiles))
    return None if stain is None else Macenko.from_values(**stain.to_json())


def stain_tiles(slide: Slide) -> list[Pixels]:
    """Return the tiles [64, 64, 3] at 1 um/px with tissue on them, of a regular grid.

    The grid is coarse (``TILES_PER_SIDE``), so that a slide without a pyramid is not decoded whole.
    """
    tiles: list[Pixels] = []
    previous = 0
    for most in TILES_PER_SIDE:
        corners = _corners(slide, most)
        if len(corners) == previous:  # the slide has no room for more
            break
        previous = len(corners)
        read = (slide.read(x, y, TILE_PX, TILE_PX, TILE_MPP) for y, x in corners)
        tiles = [tile for tile in read if stained_mask(tile)[0].mean() >= MIN_STAINED_SHARE]
        if _enough(tiles):
            break
    return tiles


def _corners(slide: Slide, most: int) -> list[tuple[float, float]]:
    """Return the corners (y, x) of tiles, in full-resolution pixels."""
    step = TILE_PX * TILE_MPP / slide.mpp
    rows, columns = (_starts(length, step, most) for length in (slide.height_px, slide.width_px))
    return list(product(rows, columns))


def _starts(length_px: int, step: float, most: int) -> list[float]:
    count = max(1, min(int(length_px / step), most))
    return [(i + 0.5) * length_px / count - step / 2 for i in range(count)]


def _enough(tiles: Sequence[Pixels]) -> bool:
    stained_px = sum(int(stained_mask(tile)[0].sum()) for tile in tiles)
    return stained_px * TILE_MPP**2 * 1e-6 >= MIN_STAINED_MM2
