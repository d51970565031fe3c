"""Crops that were cut from a held-out image: located by hash, confirmed by correlation.

A crop may come from any place. Therefore every place of an image, in steps of 1 um, gets the
difference hash of the 27 um around it (as in ``images``, with cells of 3 um), and all crops are
compared with all places in one matrix product. Places with a similar hash are read at 0.5 um/px;
the crop is confirmed if its best correlation within 2 um is at least 0.8. Hash and correlation are
stable under changes of brightness and contrast, compression and black padding; a mirrored or
rotated copy is not detected. A field of 0.26 mm2 against 3,000 crops takes a few seconds on one
core: this is for regions, not for whole slides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from metaphase.arrays import BoolArray, Float32Array, Pixels
from metaphase.errors import Problem, SplitError
from metaphase.evaluation.leakage.images import GRID, MIN_CONTRAST
from metaphase.labels.dataset import Case, Dataset
from metaphase.slides.open import open_case
from metaphase.slides.slide import Slide

MPP, CELL = 1.0, 3
SIDE = (GRID + 1) * CELL
FINE_MPP, REACH = 0.5, 4  # um/px and px (2 um) of the confirmation
MAX_DIFFERENT = 0.2  # share of the bits; most copies differ in less than 0.1
MIN_CORRELATION = 0.8  # copies reach 0.9 and more, other tissue at most about 0.6
MIN_BITS = GRID * GRID
_BLOCK_PX = 384
_OVER = SIDE // 2
_ROWS = 8192


@dataclass(frozen=True, slots=True)
class SharedCrop:
    """A crop that is part of an image, with its centre there in full-resolution pixels."""

    crop: str
    image: str
    x_px: float
    y_px: float
    correlation: float


def refuse_shared_crops(
    crops: Dataset, held: Dataset, *, progress: Callable[[str], None] | None = None
) -> None:
    """Raise SplitError with every pair if a crop is part of a held-out image."""
    shared = find_crops(crops, held, progress=progress)
    if shared:
        raise SplitError(
            Problem(
                "crops",
                f"crop {one.crop}",
                f"was cut from the held-out case {one.image} at {one.x_px:.0f}, "
                f"{one.y_px:.0f} (correlation {one.correlation:.2f})",
                "leave it out, or hold its slide's cases out together",
            )
            for one in shared
        )


def find_crops(
    crops: Dataset, images: Dataset, *, progress: Callable[[str], None] | None = None
) -> list[SharedCrop]:
    """Return the crops that were cut from an image. Cases without pixels are left out."""
    usable = [crop for crop in map(_crop, crops) if crop is not None]
    if not usable:
        return []
    bits = np.stack([crop.bits for crop in usable], axis=1)
    valid = np.abs(bits).sum(axis=0)
    shared = []
    for case in images:
        if case.image is None:
            continue
        if progress is not None:
            progress(case.id)
        with open_case(case) as slide:
            for index, x, y in _candidates(slide, bits, valid):
                correlation, place = _confirmed(slide, usable[index], x, y)
                if correlation >= MIN_CORRELATION:
                    shared.append(SharedCrop(usable[index].id, case.id, *place, correlation))
    return shared


@dataclass(frozen=True, slots=True, eq=False)
class _Crop:
    id: str
    bits: Float32Array
    fine: Float32Array
    inside: BoolArray


def _crop(case: Case) -> _Crop | None:
    """Return the central part of a crop; None if it is too small, empty or without pixels."""
    if case.image is None:
        return None
    with open_case(case) as slide:
        half = SIDE * MPP / slide.mpp / 2
        if min(slide.width_px, slide.height_px) < 2 * half:
            return None
        x, y = slide.width_px / 2 - half, slide.height_px / 2 - half
        coarse = slide.read(x, y, SIDE, SIDE, MPP)
        side = round(SIDE * MPP / FINE_MPP)
        fine = slide.read(x, y, side, side, FINE_MPP)
    bits, contrast = _hashes(_grey(coarse), _inside(coarse))
    if contrast[0, 0] < MIN_CONTRAST or np.abs(bits).sum() < MIN_BITS:
        return None
    return _Crop(case.id, bits[0, 0].copy(), _grey(fine), _inside(fine))


def _candidates(
    slide: Slide, bits: Float32Array, valid: Float32Array
) -> Iterator[tuple[int, float, float]]:
    """Yield the index of a crop and its possible corner in px: its best place in each block."""
    scale = MPP / slide.mpp
    width, height = int(slide.width_px / scale), int(slide.height_px / scale)
    # A crop that reaches over the border is black there and begins outside the image.
    for top in range(-_OVER, height - SIDE + _OVER, _BLOCK_PX):
        for left in range(-_OVER, width - SIDE + _OVER, _BLOCK_PX):
            size = _BLOCK_PX + SIDE - 1
            pixels = slide.read(left * scale, top * scale, size, size, MPP)
            places, contrast = _hashes(_grey(pixels), np.ones(pixels.shape[:2], bool))
            rows, columns = np.nonzero(contrast >= MIN_CONTRAST)
            best = np.full(len(valid), -np.inf, np.float32)
            where = np.zeros(len(valid), np.int64)
            for start in range(0, len(rows), _ROWS):
                part = slice(start, start + _ROWS)
                agree = places[rows[part], columns[part]] @ bits
                top_row = agree.argmax(axis=0)
                value = agree[top_row, np.arange(len(valid))]
                better = value > best
                best[better], where[better] = value[better], start + top_row[better]
            for index in np.flatnonzero((valid - best) / 2 <= MAX_DIFFERENT * valid):
                place = where[index]
                yield (
                    int(index),
                    (left + int(columns[place])) * scale,
                    (top + int(rows[place])) * scale,
                )


def _hashes(grey: Float32Array, inside: BoolArray) -> tuple[Float32Array, Float32Array]:
    """Return for the window at each place its hash [h', w', bits] and its contrast [h', w'].

    Bits are -1 and 1, and 0 for cells that are not inside the crop.
    """
    cells = sliding_window_view(grey, (CELL, CELL)).mean(axis=(2, 3))
    valid = np.asarray(sliding_window_view(inside, (CELL, CELL)).all(axis=(2, 3)))
    right = np.sign(cells[:, CELL:] - cells[:, :-CELL]) * (valid[:, CELL:] & valid[:, :-CELL])
    below = np.sign(cells[CELL:] - cells[:-CELL]) * (valid[CELL:] & valid[:-CELL])
    h, w = grey.shape[0] - SIDE + 1, grey.shape[1] - SIDE + 1
    steps = [(i * CELL, j * CELL) for i in range(GRID) for j in range(GRID)]
    maps = [part[i : i + h, j : j + w] for part in (right, below) for i, j in steps]
    corners = np.stack([cells[i : i + h, j : j + w] for i, j in steps])
    return np.stack(maps, axis=-1).astype(np.float32), corners.std(axis=0)


def _confirmed(slide: Slide, crop: _Crop, x: float, y: float) -> tuple[float, tuple[float, float]]:
    """Return the best correlation of a crop near a corner, and its centre there."""
    scale = FINE_MPP / slide.mpp
    side = len(crop.fine)
    size = side + 2 * REACH
    around = _grey(slide.read(x - REACH * scale, y - REACH * scale, size, size, FINE_MPP))
    ours = crop.fine[crop.inside] - crop.fine[crop.inside].mean()
    best, offset = -1.0, (0, 0)
    for row in range(2 * REACH + 1):
        for column in range(2 * REACH + 1):
            theirs = around[row : row + side, column : column + side][crop.inside]
            theirs = theirs - theirs.mean()
            norm = float(np.sqrt((ours * ours).sum() * (theirs * theirs).sum()))
            value = float((ours * theirs).sum()) / norm if norm else -1.0
            if value > best:
                best, offset = value, (row, column)
    middle = side / 2 - REACH
    return best, (x + (offset[1] + middle) * scale, y + (offset[0] + middle) * scale)


def _inside(pixels: Pixels) -> BoolArray:
    """Return where a crop is neither black padding nor next to it, where resampling mixes both."""
    inside = np.pad(pixels.max(axis=2) > 0, 1, mode="edge")
    return np.asarray(sliding_window_view(inside, (3, 3)).all(axis=(2, 3)))


def _grey(pixels: Pixels) -> Float32Array:
    return np.asarray(pixels.mean(axis=2, dtype=np.float32))
