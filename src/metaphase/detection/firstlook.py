"""A cheap first look: tiles where nothing takes enough haematoxylin for a figure are left out.

Chromatin of a mitotic figure is condensed: it takes at least as much haematoxylin as the nuclei
around it. The slide is seen at 2 um/px, where a figure is a few pixels; haematoxylin is parted from
eosin by colour deconvolution (Ruifrok and Johnston 2001, Anal Quant Cytol Histol 23), and what
counts as dark is measured by the slide's own nuclei, whatever the stain's strength.

How much that saves and what it costs is measured by ``studies/first_look.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metaphase.detection.grid import Grid
from metaphase.slides.slide import Pixels, Slide

FIRST_LOOK_MPP = 2.0

CUT = 0.6
"""A tile is looked at where its darkest place has this part of the slide's reference."""

REFERENCE_PERCENTILE = 99.0
"""The reference is the haematoxylin that one percent of the slide's pixels exceeds: its nuclei."""

WINDOW_UM = 6.0
"""Haematoxylin is averaged over a square of this side: about the smallest plate of a metaphase."""

REACH_UM = 6.0
"""So far around what a tile owns is looked too: a figure on the border belongs to either side."""

_GROUP = 12  # tiles a side that are read at once: 4 MB at 2 um/px
_BINS, _DENSEST = 2000, 2.0

FloatArray = NDArray[np.float64]

# Optical densities of haematoxylin and eosin in red, green and blue, and what is neither.
_STAINS = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
_UNMIX = np.linalg.inv(_STAINS / np.linalg.norm(_STAINS, axis=1, keepdims=True))[:, 0]


@dataclass(frozen=True)
class FirstLook:
    """The darkest haematoxylin [tiles] of each tile, and the reference of the slide."""

    darkest: FloatArray
    reference: float

    def wanted(self, cut: float = CUT) -> NDArray[np.bool_]:
        """Tell which tiles can hold a figure."""
        return np.asarray(self.darkest >= cut * self.reference)


def look_first(slide: Slide, grid: Grid, tiles: NDArray[np.int64]) -> FirstLook:
    """Look at what tiles of a slide own, and a little around it.

    It reads about a sixtieth of the pixels of a slide at 0.25 um/px. A slide without small copies
    is decoded whole for it, which is not cheap.
    """
    darkest = np.zeros(len(tiles))
    histogram = np.zeros(_BINS, np.int64)
    mpp = max(FIRST_LOOK_MPP, slide.mpp)
    for members in _groups(grid, tiles):
        boxes = _reached(slide, grid.owned_px[tiles[members]])
        x, y = boxes[:, 0].min(), boxes[:, 1].min()
        width, height = (boxes[:, 2:].max(axis=0) - (x, y)) * slide.mpp / mpp
        pixels = slide.read(x, y, int(np.ceil(width)), int(np.ceil(height)), mpp)
        density = haematoxylin(pixels, mpp)
        counts, _ = np.histogram(density, bins=_BINS, range=(0.0, _DENSEST))
        histogram += counts
        cells = (boxes - (x, y, x, y)) * slide.mpp / mpp
        for member, (x1, y1, x2, y2) in zip(members, cells, strict=True):
            part = density[int(y1) : int(np.ceil(y2)), int(x1) : int(np.ceil(x2))]
            darkest[member] = part.max(initial=0.0)
    return FirstLook(darkest, _percentile(histogram))


def haematoxylin(pixels: Pixels, mpp: float) -> NDArray[np.float32]:
    """Return the haematoxylin [h, w] of a picture uint8 [h, w, 3], averaged over ``WINDOW_UM``.

    It is an optical density, 0 for glass.
    """
    from scipy import ndimage

    table = -np.log10((np.arange(256) + 1) / 256)
    red, green, blue = ((table * part).astype(np.float32) for part in _UNMIX)
    amount = red[pixels[..., 0]] + green[pixels[..., 1]] + blue[pixels[..., 2]]
    side = max(1, round(WINDOW_UM / mpp))
    return np.asarray(ndimage.uniform_filter(np.maximum(amount, 0), side, mode="nearest"))


def _groups(grid: Grid, tiles: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Yield the places in ``tiles`` of tiles that lie together."""
    rows, columns = np.divmod(tiles, len(grid.starts_x))
    across = -(-len(grid.starts_x) // _GROUP)
    group = rows // _GROUP * across + columns // _GROUP
    order = np.argsort(group, kind="stable")
    ends = np.flatnonzero(np.diff(group[order])) + 1
    yield from (part for part in np.split(order, ends) if len(part))


def _reached(slide: Slide, boxes: FloatArray) -> FloatArray:
    """Return boxes x1, y1, x2, y2 [n, 4] with what is looked at around them."""
    reach = REACH_UM / slide.mpp
    size = slide.width_px, slide.height_px
    low = np.maximum(boxes[:, :2] - reach, 0)
    return np.concatenate([low, np.minimum(boxes[:, 2:] + reach, size)], axis=1)


def _percentile(histogram: NDArray[np.int64]) -> float:
    """Return the reference percentile of what a histogram holds."""
    total = np.cumsum(histogram)
    if total[-1] == 0:
        return 0.0
    place = int(np.searchsorted(total, REFERENCE_PERCENTILE / 100 * total[-1]))
    return (place + 0.5) * _DENSEST / _BINS
