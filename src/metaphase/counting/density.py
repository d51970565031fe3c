"""A map of figures per mm2, for display. Counts are never computed from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from metaphase.arrays import FloatArray
from metaphase.boxes import as_points

CELL_UM = 100.0
BANDWIDTH_UM = 400.0


@dataclass(frozen=True, eq=False)
class DensityMap:
    """Figures per mm2 in cells of ``cell_px``; row i, column j begins at (j, i) * cell_px."""

    per_mm2: FloatArray
    cell_px: float

    def at(self, x_px: float, y_px: float) -> float:
        """Return the density of the cell under a point; 0 outside."""
        i, j = int(y_px // self.cell_px), int(x_px // self.cell_px)
        rows, columns = self.per_mm2.shape
        return float(self.per_mm2[i, j]) if 0 <= i < rows and 0 <= j < columns else 0.0


def density_map(
    points: ArrayLike,
    size_px: tuple[float, float],
    mpp: float,
    *,
    cell_um: float = CELL_UM,
    bandwidth_um: float | None = BANDWIDTH_UM,
) -> DensityMap:
    """Return the density of points [n, 2] over an image of ``size_px`` (width, height).

    ``bandwidth_um`` is the standard deviation of a Gaussian kernel; None counts without smoothing.
    Each cell is divided by the part of the kernel inside the image, so that densities are correct
    at the border.
    """
    cell = cell_um / mpp
    width, height = size_px
    columns, rows = max(1, int(np.ceil(width / cell))), max(1, int(np.ceil(height / cell)))
    edges = np.arange(rows + 1) * cell, np.arange(columns + 1) * cell
    p = as_points(points)
    counts, _, _ = np.histogram2d(p[:, 1], p[:, 0], bins=edges)
    tall = np.clip(height - edges[0][:-1], 0, cell)
    wide = np.clip(width - edges[1][:-1], 0, cell)
    area = np.outer(tall, wide) * mpp**2 * 1e-6
    if bandwidth_um:
        from scipy.ndimage import gaussian_filter

        sigma = bandwidth_um / cell_um
        counts = gaussian_filter(counts, sigma, mode="constant")
        area = gaussian_filter(area, sigma, mode="constant")
    return DensityMap(np.divide(counts, area, out=np.zeros_like(area), where=area > 0), cell)
