"""Blocks of tissue that fit beside each other in any order, without a seam.

All blocks of a slide share one *frame*: an image that is periodic in both directions. Near its
border every block shows the frame, in the middle its own tissue. The seam between the two follows
the pixels where they differ least (Efros and Freeman 2001, "Image quilting for texture synthesis
and transfer", SIGGRAPH) and avoids figures. It lies in the dye maps, before scanning, so that
optics and noise do not reveal it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metaphase.arrays import Pixels
from metaphase.phantom.noise import Field, Generator
from metaphase.phantom.region import SyntheticFigure, draw_region
from metaphase.phantom.scanners import Scanner, scan
from metaphase.phantom.tissue import draw_tissue

BLOCK_PX = 1024

VISIBLE_SHARE = 0.75
"""Approximate share of a block's figures that lie in its own tissue."""

_BAND = (16, 136)  # px from the border: where the seam may run
_OVERLAP_PX = 128  # by which the frame is drawn larger, to make it periodic
_PAD_PX = 32  # of the neighbour around a block for the optics; whole JPEG blocks
_CLEAR_PX = 44  # around a figure, with its cell
_FORBIDDEN = np.float32(1e4)
_ATTEMPTS = 20  # to draw a block whose seam cuts no figure
_FRAMES = 8  # candidates, of which the plainest is taken

Maps = NDArray[np.float32]
"""Haematoxylin and eosin [2, h, w]."""


@dataclass(frozen=True, slots=True)
class Block:
    """Pixels [1024, 1024, 3] and the figures in them."""

    pixels: Pixels
    figures: tuple[SyntheticFigure, ...]


class BlockRenderer:
    """Renders the blocks of one slide: one scanner, one staining, one frame."""

    def __init__(self, seed: int, scanner: Scanner) -> None:
        self.seed, self.scanner = seed, scanner
        rng = np.random.default_rng([seed, 0])
        self.strength = (float(rng.uniform(0.9, 1.1)), float(rng.uniform(0.9, 1.1)))
        side = BLOCK_PX + _OVERLAP_PX
        self.frame = _periodic(self._draw(self._plainest_frame(side), side, 0.0, 0.0)[0])

    def _plainest_frame(self, side: int) -> Generator:
        """Return the generator of the frame with the fewest conspicuous structures, because every
        block shows them."""

        def conspicuousness(candidate: int) -> float:
            tissue = draw_tissue(self._frame_rng(candidate), side, side, self.scanner.mpp)
            return float(tissue.glass.mean() + tissue.epithelium[::8, ::8].var())

        return self._frame_rng(min(range(_FRAMES), key=conspicuousness))

    def _frame_rng(self, candidate: int) -> Generator:
        return np.random.default_rng([self.seed, 5, candidate])

    def glass(self) -> Pixels:
        """Return a block of empty glass."""
        empty = np.zeros((2, BLOCK_PX, BLOCK_PX), np.float32)
        return self._scanned(np.random.default_rng([self.seed, 1]), empty)

    def block(self, number: int, mitotic_per_mm2: float, hard_negative_per_mm2: float) -> Block:
        """Return a block. The same number gives the same block."""
        for attempt in range(_ATTEMPTS):
            rng = np.random.default_rng([self.seed, 2, number, attempt])
            tissue, figures = self._draw(rng, BLOCK_PX, mitotic_per_mm2, hard_negative_per_mm2)
            inside = _own_tissue_weight(tissue, self.frame, figures)
            kept = _visible_figures(inside, figures)
            if kept is not None:
                break
        else:  # too many figures: a block without any always fits
            return self.block(number, 0.0, 0.0)
        return Block(self._scanned(rng, self.frame + inside * (tissue - self.frame)), tuple(kept))

    def _draw(
        self, rng: Generator, side: int, mitotic: float, negative: float
    ) -> tuple[Maps, list[SyntheticFigure]]:
        tissue, figures = draw_region(
            *(rng, side, side, self.scanner.mpp),
            mitotic_per_mm2=mitotic,
            hard_negative_per_mm2=negative,
            strength=self.strength,
        )
        return np.stack([tissue.haematoxylin, tissue.eosin]), figures

    def _scanned(self, rng: Generator, maps: Maps) -> Pixels:
        padded = np.pad(maps, ((0, 0), (_PAD_PX, _PAD_PX), (_PAD_PX, _PAD_PX)), mode="wrap")
        seen = scan(rng, padded[0], padded[1], self.scanner)
        return np.ascontiguousarray(seen[_PAD_PX:-_PAD_PX, _PAD_PX:-_PAD_PX])


def _periodic(maps: Maps) -> Maps:
    """Return maps [2, n, n] without their overlap, periodic in both directions."""
    rows = _periodic_rows(maps)
    return np.ascontiguousarray(_periodic_rows(rows.transpose(0, 2, 1)).transpose(0, 2, 1))


def _periodic_rows(maps: Maps) -> Maps:
    """Blend the last rows, which overlap the first, into these along a cheap path."""
    length = maps.shape[1] - _OVERLAP_PX
    start, after = maps[:, :_OVERLAP_PX], maps[:, length:]
    line = cheapest_path(_difference(start, after), closed=True)
    past = _soft_step_after(line, _OVERLAP_PX)
    result = maps[:, :length].copy()
    result[:, :_OVERLAP_PX] = after + past * (start - after)
    return result


def _own_tissue_weight(own: Maps, frame: Maps, figures: list[SyntheticFigure]) -> Field:
    """Return the weight [n, n] of a block's own tissue: 1 in the middle, 0 at the frame."""
    cost = _difference(own, frame)
    n = cost.shape[0]
    y, x = np.ogrid[:n, :n]
    for figure in figures:
        near = (x + 0.5 - figure.x_px) ** 2 + (y + 0.5 - figure.y_px) ** 2 < _CLEAR_PX**2
        cost[near] += _FORBIDDEN
    first, last = _BAND
    inside = np.ones((n, n), np.float32)
    for turn in range(4):
        band = np.rot90(cost, turn)[first:last]
        past = np.ones((n, n), np.float32)
        past[:first] = 0
        past[first:last] = _soft_step_after(cheapest_path(band), last - first)
        inside = np.minimum(inside, np.rot90(past, -turn))
    return inside


def _difference(a: Maps, b: Maps) -> Field:
    """Return how much two images differ at each pixel, plus a constant that keeps paths short."""
    from scipy.ndimage import uniform_filter

    result: Field = uniform_filter(((a - b) ** 2).sum(axis=0), 5) + np.float32(0.002)
    return result


def _soft_step_after(line: NDArray[np.int64], rows: int) -> Field:
    """Return [rows, n]: 0 before the path, 1 after it, with an edge of five pixels."""
    t = (np.arange(rows)[:, None] - line[None, :]) / 5.0 + 0.5
    result: Field = np.clip(t, 0, 1).astype(np.float32)
    return result


def cheapest_path(cost: Field, *, closed: bool = False) -> NDArray[np.int64]:
    """Return the row [n] in each column of the cheapest path from left to right through a cost.

    Neighbouring rows differ by one at most. ``closed`` paths start and end in the middle row.
    """
    rows, columns = cost.shape
    total = cost[:, 0].copy()
    if closed:
        total = np.where(np.arange(rows) == rows // 2, total, np.float32(np.inf))
    came = np.zeros((columns, rows), np.int64)
    for column in range(1, columns):
        padded = np.pad(total, 1, constant_values=np.inf)
        choices = np.stack([padded[:-2], padded[1:-1], padded[2:]])
        came[column] = choices.argmin(axis=0) - 1
        total = choices.min(axis=0) + cost[:, column]
    line = np.empty(columns, np.int64)
    line[-1] = rows // 2 if closed else total.argmin()
    for column in range(columns - 1, 0, -1):
        line[column - 1] = line[column] + came[column, line[column]]
    return line


def _visible_figures(inside: Field, figures: list[SyntheticFigure]) -> list[SyntheticFigure] | None:
    """Return the figures that are completely visible; None if the seam cuts one."""
    kept = []
    for figure in figures:
        x, y, r = int(figure.x_px), int(figure.y_px), _CLEAR_PX * 2 // 3
        around = inside[max(0, y - r) : y + r + 1, max(0, x - r) : x + r + 1]
        if around.min() == 1:
            kept.append(figure)
        elif around.max() > 0:
            return None
    return kept
