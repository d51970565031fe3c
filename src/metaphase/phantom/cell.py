"""One drawn cell: its effect on the maps of both dyes, on a small square around its centre."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metaphase.phantom.noise import Field


@dataclass(frozen=True, slots=True)
class Cell:
    """Four squares [s, s]: dyes become ``dye * keep + add``, for haematoxylin and for eosin."""

    h_add: Field
    h_keep: Field
    e_add: Field
    e_keep: Field

    def turned(self, symmetry: int) -> Cell:
        """Return one of the eight symmetries of the square."""
        return Cell(*(_turn(f, symmetry) for f in self.fields()))

    def fields(self) -> tuple[Field, Field, Field, Field]:
        """Return the four squares in order."""
        return self.h_add, self.h_keep, self.e_add, self.e_keep


def _turn(field: Field, symmetry: int) -> Field:
    turned = np.rot90(field, symmetry & 3)
    return turned[:, ::-1] if symmetry & 4 else turned


def draw_cell(haematoxylin: Field, eosin: Field, cell: Cell, x_px: float, y_px: float) -> None:
    """Draw a cell centred on a point, in place; parts beyond the border are cut off."""
    side = cell.h_add.shape[0]
    height, width = haematoxylin.shape
    left, top = round(x_px - side / 2), round(y_px - side / 2)
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + side, width), min(top + side, height)
    if x0 >= x1 or y0 >= y1:
        return
    there = np.s_[y0:y1, x0:x1]
    part = np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
    haematoxylin[there] *= cell.h_keep[part]
    haematoxylin[there] += cell.h_add[part]
    eosin[there] *= cell.e_keep[part]
    eosin[there] += cell.e_add[part]


def coordinates_um(side_px: int, mpp: float) -> tuple[Field, Field]:
    """Return the coordinates x, y [s, s] in um from the centre of a square."""
    axis = ((np.arange(side_px) + 0.5 - side_px / 2) * mpp).astype(np.float32)
    return np.meshgrid(axis, axis)[0], np.meshgrid(axis, axis)[1]


def soft_edge(distance_um: Field, softness_um: float = 0.2) -> Field:
    """Return 1 inside (negative distance), 0 outside, and a soft edge between."""
    result: Field = (0.5 - 0.5 * np.tanh(distance_um / np.float32(2 * softness_um))).astype(
        np.float32
    )
    return result
