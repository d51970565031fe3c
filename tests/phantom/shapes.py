"""Measures of drawn cells: which pixels are dark, how long, and how many pieces they form."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from metaphase.phantom.cell import Cell, coordinates_um

MPP = 0.25
DARK = 0.8
"""Haematoxylin from which a pixel counts as chromatin."""


def seeds(count: int, draw: Callable[[np.random.Generator], Cell]) -> list[Cell]:
    """Return cells drawn from the seeds 0, 1, ..."""
    return [draw(np.random.default_rng(seed)) for seed in range(count)]


def area_um2(cell: Cell, mpp: float = MPP) -> float:
    """Return the area of the chromatin."""
    return float((cell.h_add > DARK).sum()) * mpp**2


def principal_axis(cell: Cell, mpp: float = MPP) -> tuple[float, float]:
    """Return the ratio of length to width of the chromatin, and its direction in radians."""
    x, y = coordinates_um(len(cell.h_add), mpp)
    dark = cell.h_add > DARK
    values, vectors = np.linalg.eigh(np.cov(np.stack([x[dark], y[dark]])))
    along = vectors[:, 1]
    return float(np.sqrt(values[1] / values[0])), float(np.arctan2(along[1], along[0]) % np.pi)


def pieces(cell: Cell, least_um2: float = 3.0, mpp: float = MPP) -> int:
    """Return the number of connected pieces of chromatin that are not just a grain."""
    labelled, count = ndimage.label(cell.h_add > DARK)
    sizes = ndimage.sum_labels(np.ones_like(labelled), labelled, range(1, count + 1))
    return int((np.asarray(sizes) * mpp**2 >= least_um2).sum())


def distance_um(cell: Cell, mpp: float = MPP) -> float:
    """Return the mean distance of the chromatin from the centre of the cell."""
    x, y = coordinates_um(len(cell.h_add), mpp)
    return float(np.hypot(x, y)[cell.h_add > DARK].mean())


def border(field: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the outermost pixels of a square."""
    return np.concatenate([field[0], field[-1], field[:, 0], field[:, -1]])


def check_cell(cell: Cell) -> None:
    """Check what every cell must be: squares of one size that only mix, darken or clear."""
    shapes = {field.shape for field in cell.fields()}
    assert len(shapes) == 1
    assert all(field.dtype == np.float32 for field in cell.fields())
    assert all(np.isfinite(field).all() for field in cell.fields())
    assert min(cell.h_add.min(), cell.e_add.min()) >= 0
    for keep in (cell.h_keep, cell.e_keep):
        assert keep.min() >= 0
        assert keep.max() <= 1


def same_bytes(a: Cell, b: Cell) -> bool:
    """Whether two cells are equal to the last bit."""
    return all(x.tobytes() == y.tobytes() for x, y in zip(a.fields(), b.fields(), strict=True))
