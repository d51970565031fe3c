"""Blocks of tissue that fit beside each other in any order, without a seam.

All blocks of a slide share one *frame*: a picture that goes on at its opposite side. Near its
border every block is the frame; its own tissue fills the middle. The line between the two follows
the places where they differ least (Efros and Freeman 2001, "image quilting"), keeps clear of
figures, and is drawn in the maps of dye, before the scanner: optics and noise know nothing of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metaphase.phantom.noise import Field, Generator
from metaphase.phantom.region import Planted, paint_region
from metaphase.phantom.scanners import Pixels, Scanner, scan
from metaphase.phantom.tissue import grow_tissue

BLOCK_PX = 1024

KEPT = 0.75
"""Share of a block's figures that lie where it shows its own tissue, roughly."""

_BAND = (16, 136)  # px from the border: where the line may run
_OVERLAP_PX = 128  # that the frame is painted larger, to close it
_PAD_PX = 32  # of the neighbour that the scanner sees around a block; whole JPEG blocks
_CLEAR_PX = 44  # around a figure: cell and all
_FORBIDDEN = np.float32(1e4)
_TRIES = 20  # for a block that cuts no figure
_FRAMES = 8  # drawn, to take the one with the fewest landmarks

Maps = NDArray[np.float32]
"""Haematoxylin and eosin [2, h, w]."""


@dataclass(frozen=True, slots=True)
class Block:
    """Pixels [1024, 1024, 3] and the figures in them."""

    pixels: Pixels
    figures: tuple[Planted, ...]


class BlockMaker:
    """Makes blocks of one slide: one scanner, one staining, one frame."""

    def __init__(self, seed: int, scanner: Scanner) -> None:
        self.seed, self.scanner = seed, scanner
        rng = np.random.default_rng([seed, 0])
        self.strength = (float(rng.uniform(0.9, 1.1)), float(rng.uniform(0.9, 1.1)))
        side = BLOCK_PX + _OVERLAP_PX
        self.frame = _closed(self._paint(self._dullest(side), side, 0.0, 0.0)[0])

    def _dullest(self, side: int) -> Generator:
        """Return the generator of a frame without landmarks: they would show in every block."""

        def landmarks(candidate: int) -> float:
            tissue = grow_tissue(self._frame_rng(candidate), side, side, self.scanner.mpp)
            return float(tissue.glass.mean() + tissue.epithelium[::8, ::8].var())

        return self._frame_rng(min(range(_FRAMES), key=landmarks))

    def _frame_rng(self, candidate: int) -> Generator:
        return np.random.default_rng([self.seed, 5, candidate])

    def glass(self) -> Pixels:
        """Return a block with nothing in it."""
        empty = np.zeros((2, BLOCK_PX, BLOCK_PX), np.float32)
        return self._scanned(np.random.default_rng([self.seed, 1]), empty)

    def block(self, number: int, mitotic_per_mm2: float, hard_negative_per_mm2: float) -> Block:
        """Return a block. The same number gives the same block."""
        for attempt in range(_TRIES):
            rng = np.random.default_rng([self.seed, 2, number, attempt])
            own, figures = self._paint(rng, BLOCK_PX, mitotic_per_mm2, hard_negative_per_mm2)
            inside = _inside(own, self.frame, figures)
            kept = _kept(inside, figures)
            if kept is not None:
                break
        else:  # crowded beyond reason: a block without figures fits always
            return self.block(number, 0.0, 0.0)
        return Block(self._scanned(rng, self.frame + inside * (own - self.frame)), tuple(kept))

    def _paint(
        self, rng: Generator, side: int, mitotic: float, negative: float
    ) -> tuple[Maps, list[Planted]]:
        tissue, figures = paint_region(
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


def _closed(maps: Maps) -> Maps:
    """Return maps [2, n, n] without their overlap, such that they go on at the opposite side."""
    rows = _closed_down(maps)
    return np.ascontiguousarray(_closed_down(rows.transpose(0, 2, 1)).transpose(0, 2, 1))


def _closed_down(maps: Maps) -> Maps:
    """Let the last rows, which overlap the first, come before these along a cheap line."""
    length = maps.shape[1] - _OVERLAP_PX
    start, after = maps[:, :_OVERLAP_PX], maps[:, length:]
    line = cheapest_line(_difference(start, after), closed=True)
    past = _soft_past(line, _OVERLAP_PX)
    result = maps[:, :length].copy()
    result[:, :_OVERLAP_PX] = after + past * (start - after)
    return result


def _inside(own: Maps, frame: Maps, figures: list[Planted]) -> Field:
    """Return where a block shows its own tissue (1) and where the frame (0), [n, n]."""
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
        past[first:last] = _soft_past(cheapest_line(band), last - first)
        inside = np.minimum(inside, np.rot90(past, -turn))
    return inside


def _difference(a: Maps, b: Maps) -> Field:
    """Return how much two pictures differ at each pixel, and a little so that lines stay short."""
    from scipy.ndimage import uniform_filter

    result: Field = uniform_filter(((a - b) ** 2).sum(axis=0), 5) + np.float32(0.002)
    return result


def _soft_past(line: NDArray[np.int64], rows: int) -> Field:
    """Return [rows, n]: 0 before the line, 1 past it, softened over five pixels."""
    t = (np.arange(rows)[:, None] - line[None, :]) / 5.0 + 0.5
    result: Field = np.clip(t, 0, 1).astype(np.float32)
    return result


def cheapest_line(cost: Field, *, closed: bool = False) -> NDArray[np.int64]:
    """Return the row [n] in each column of the cheapest line from left to right through a cost.

    Neighbouring rows differ by one at most. ``closed`` makes it end where it began, in the middle.
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


def _kept(inside: Field, figures: list[Planted]) -> list[Planted] | None:
    """Return the figures that are seen whole; None if one is cut."""
    kept = []
    for figure in figures:
        x, y, r = int(figure.x_px), int(figure.y_px), _CLEAR_PX * 2 // 3
        around = inside[max(0, y - r) : y + r + 1, max(0, x - r) : x + r + 1]
        if around.min() == 1:
            kept.append(figure)
        elif around.max() > 0:
            return None
    return kept
