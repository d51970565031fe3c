"""Masks over a slide: tissue, or a drawn region of interest."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metaphase.arrays import BoolArray
from metaphase.errors import InputError
from metaphase.qupath.bounds import NO_OFFSET, Offset
from metaphase.qupath.features import area_collection
from metaphase.qupath.geometry import read_polygons
from metaphase.slides.outline import fill, trace

MAX_CELLS = 1 << 23
"""Cells of the largest mask (537 mm2 at 8 um). Masks of larger slides are coarser."""

ROI_MPP = 2.0


@dataclass(frozen=True, eq=False)
class TissueMask:
    """A mask over a slide. ``mask`` [rows, columns] is true where tissue is.

    Cells are square, ``mpp`` um wide; the first cell's corner is the slide's. ``slide_mpp``,
    ``width_px`` and ``height_px`` are those of the slide at full resolution.
    """

    mask: BoolArray
    mpp: float
    slide_mpp: float
    width_px: int
    height_px: int

    @property
    def cell_px(self) -> float:
        """The side of a cell in full-resolution pixels."""
        return self.mpp / self.slide_mpp

    @property
    def area_mm2(self) -> float:
        """The area where the mask is true; cells at the border count by their part on the slide."""
        size = np.array([self.width_px, self.height_px], dtype=np.float64)
        covered = float(self._sum(np.zeros(2), size / self.cell_px)[()])
        return covered * self.mpp**2 * 1e-6

    def covers(self, x_px: ArrayLike, y_px: ArrayLike) -> NDArray[np.bool_]:
        """Return whether points (full-resolution pixels; any shape) lie where the mask is true."""
        x = np.floor(np.asarray(x_px, dtype=np.float64) / self.cell_px).astype(np.int64)
        y = np.floor(np.asarray(y_px, dtype=np.float64) / self.cell_px).astype(np.int64)
        rows, columns = self.mask.shape
        inside = (x >= 0) & (x < columns) & (y >= 0) & (y < rows)
        values = self.mask[np.clip(y, 0, rows - 1), np.clip(x, 0, columns - 1)]
        return np.asarray(inside & values)

    def fraction(
        self, x_px: ArrayLike, y_px: ArrayLike, width_px: ArrayLike, height_px: ArrayLike
    ) -> NDArray[np.float64]:
        """Return the share of each rectangle (full-resolution pixels; any shape) that is true."""
        low = np.stack(np.broadcast_arrays(x_px, y_px), axis=-1).astype(np.float64)
        size = np.stack(np.broadcast_arrays(width_px, height_px), axis=-1).astype(np.float64)
        covered = self._sum(low / self.cell_px, (low + size) / self.cell_px)
        cells = np.prod(size / self.cell_px, axis=-1)
        return np.asarray(np.clip(covered / cells, 0.0, 1.0))

    def _sum(self, low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the number of true cells from ``low`` to ``high`` (cells x, y), with parts."""
        a, b = self._integral(low), self._integral(high)
        c = self._integral(np.stack([low[..., 0], high[..., 1]], axis=-1))
        d = self._integral(np.stack([high[..., 0], low[..., 1]], axis=-1))
        return np.asarray(a + b - c - d)

    def _integral(self, at: NDArray[np.float64]) -> NDArray[np.float64]:
        """Interpolate the summed-area table, which is exact for a mask of square cells."""
        table = self._table
        limit = np.array([table.shape[1] - 1, table.shape[0] - 1], dtype=np.float64)
        at = np.clip(at, 0, limit)
        whole = np.minimum(np.floor(at), np.maximum(limit - 1, 0)).astype(np.int64)
        part = at - whole
        x, y = whole[..., 0], whole[..., 1]
        u, v = part[..., 0], part[..., 1]
        top = table[y, x] * (1 - u) + table[y, x + 1] * u
        bottom = table[y + 1, x] * (1 - u) + table[y + 1, x + 1] * u
        return np.asarray(top * (1 - v) + bottom * v)

    @cached_property
    def _table(self) -> NDArray[np.int64]:
        table = np.zeros((self.mask.shape[0] + 1, self.mask.shape[1] + 1), np.int64)
        np.cumsum(self.mask, axis=0, out=table[1:, 1:])
        np.cumsum(table[1:, 1:], axis=1, out=table[1:, 1:])
        return table

    def intersection(self, other: TissueMask) -> TissueMask:
        """Return the intersection of two masks of one slide, at the finer of their resolutions."""
        fine, coarse = (self, other) if self.mpp <= other.mpp else (other, self)
        rows, columns = fine.mask.shape
        x = (np.arange(columns) + 0.5) * fine.cell_px
        y = (np.arange(rows) + 0.5) * fine.cell_px
        both = fine.mask & coarse.covers(x[None, :], y[:, None])
        return TissueMask(both, fine.mpp, fine.slide_mpp, fine.width_px, fine.height_px)

    def to_geojson(self, name: str = "Tissue", *, offset_px: Offset = NO_OFFSET) -> dict[str, Any]:
        """Return a GeoJSON FeatureCollection with one (multi)polygon, in full-resolution pixels.

        QuPath opens it as an annotation. Polygons are cut at the slide's border. ``offset_px`` is
        subtracted: the corner of the part of a slide that QuPath shows.
        """
        polygons = [
            [self._ring(ring, offset_px) for ring in polygon] for polygon in trace(self.mask)
        ]
        return area_collection(name, polygons)

    def _ring(
        self, ring: list[tuple[float, float]], offset_px: tuple[float, float]
    ) -> list[list[float]]:
        axes = ((self.width_px, offset_px[0]), (self.height_px, offset_px[1]))
        return [
            [
                round(min(value * self.cell_px, end) - offset, 2)
                for value, (end, offset) in zip(at, axes, strict=True)
            ]
            for at in ring
        ]

    @classmethod
    def from_geojson(
        cls,
        path: str | Path,
        slide_mpp: float,
        width_px: int,
        height_px: int,
        *,
        mpp: float = ROI_MPP,
        offset_px: Offset = NO_OFFSET,
    ) -> TissueMask:
        """Read the polygons of a GeoJSON file (full-resolution pixels) as a region of interest.

        ``offset_px`` is where the file's pixels begin: the corner of what QuPath shows of a slide.
        Raises InputError for a file that is no GeoJSON, or holds no polygon that meets the slide.
        """
        path = Path(path)
        polygons = read_polygons(path)
        mpp = max(mpp, slide_mpp, coarse_enough(width_px * slide_mpp, height_px * slide_mpp))
        cell = mpp / slide_mpp
        dx, dy = offset_px
        scaled = [
            [[((x + dx) / cell, (y + dy) / cell) for x, y in ring] for ring in polygon]
            for polygon in polygons
        ]
        mask = fill(scaled, int(np.ceil(width_px / cell)), int(np.ceil(height_px / cell)))
        if not mask.any():
            raise InputError.of(
                path,
                f"none of its {len(polygons)} polygons lies on the slide "
                f"({width_px} x {height_px} px)",
                way_out="coordinates must be pixels of the slide at full resolution",
            )
        return cls(mask, mpp, slide_mpp, width_px, height_px)


def coarse_enough(width_um: float, height_um: float) -> float:
    """Return the finest mpp at which a mask of this extent has at most ``MAX_CELLS`` cells."""
    return float(np.sqrt(width_um * height_um / MAX_CELLS))
