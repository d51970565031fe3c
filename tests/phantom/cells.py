"""Measurements of drawn cells."""

from __future__ import annotations

import numpy as np

from metaphase.phantom.cell import Cell


def offset_um(cell: Cell, mpp: float) -> float:
    """Return the distance from a cell's centre to that of its dark chromatin."""
    dye = cell.h_add
    y, x = np.indices(dye.shape) + 0.5 - np.array(dye.shape)[:, None, None] / 2
    dark = dye > 0.5 * dye.max()
    return float(np.hypot(x[dark].mean(), y[dark].mean()) * mpp)


def dark_um2(cell: Cell, mpp: float) -> float:
    """Return the area of a cell's dark chromatin."""
    dye = cell.h_add
    return float((dye > 0.5 * dye.max()).sum() * mpp**2)
