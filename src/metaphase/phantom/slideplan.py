"""The layout of a synthetic slide: the outline of its tissue, and the block at each place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metaphase.errors import InputError
from metaphase.phantom.blocks import BLOCK_PX
from metaphase.phantom.noise import Field, Generator, smooth_noise

NODE_PX = 64
"""Pixels of the slide between the nodes of the grid on which the outline is planned."""

EDGE_PX = 64.0
"""How far the fine roughness of the edge may reach into the tissue."""

_MAX_TISSUE_SHARE = 0.8  # of the slide's area
_DEFAULT_TISSUE_SHARE = 0.55
_MARGIN = 0.04  # of the slide's side that is glass
_FAR_PX = 4096.0


@dataclass(frozen=True, slots=True)
class SlidePlan:
    """``distance_px`` [rows, columns]: px inside (positive) or outside the tissue at each node.

    ``block`` [rows, columns] is the block's number at each place of the slide; blocks below
    ``figure_free`` have no figures.
    """

    distance_px: Field
    block: NDArray[np.int64]

    def distance_range(self, row: int, column: int) -> tuple[float, float]:
        """Return the smallest and the largest distance at the place of a block."""
        nodes = BLOCK_PX // NODE_PX
        part = self.distance_px[
            row * nodes : (row + 1) * nodes + 1, column * nodes : (column + 1) * nodes + 1
        ]
        return float(part.min()), float(part.max())


def plan_slide(
    rng: Generator,
    width_px: int,
    height_px: int,
    mpp: float,
    tissue_mm2: float | None,
    blocks: int,
    figure_free: int,
) -> SlidePlan:
    """Plan a slide of ``blocks`` different blocks, numbered by rising number of mitotic figures.

    The first ``figure_free`` blocks have no figures of any kind. They form the edge of the tissue,
    so that no figure is cut. Raises InputError if the tissue does not fit onto the slide.
    """
    rows, columns = -(-height_px // BLOCK_PX), -(-width_px // BLOCK_PX)
    share = _share(width_px, height_px, mpp, tissue_mm2)
    nodes = BLOCK_PX // NODE_PX
    distance = _outline(rng, rows * nodes + 1, columns * nodes + 1, width_px, height_px, share)
    plan = SlidePlan(distance, np.zeros((rows, columns), np.int64))
    ranks = _clustered_ranks(rng, rows, columns, blocks - figure_free)
    for row in range(rows):
        for column in range(columns):
            whole = plan.distance_range(row, column)[0] > EDGE_PX
            plan.block[row, column] = (
                figure_free + ranks[row, column] if whole else rng.integers(0, figure_free)
            )
    return plan


def _share(width_px: int, height_px: int, mpp: float, tissue_mm2: float | None) -> float:
    slide_mm2 = width_px * height_px * mpp**2 * 1e-6
    if tissue_mm2 is None:
        return _DEFAULT_TISSUE_SHARE
    if not 0 < tissue_mm2 <= _MAX_TISSUE_SHARE * slide_mm2:
        raise InputError.of(
            "--tissue-mm2",
            f"{tissue_mm2:g} mm2 of tissue do not fit onto a slide of {slide_mm2:.1f} mm2",
            way_out=f"at most {_MAX_TISSUE_SHARE * slide_mm2:.1f} mm2, or a larger slide",
        )
    return tissue_mm2 / slide_mm2


def _outline(
    rng: Generator, rows: int, columns: int, width_px: int, height_px: int, share: float
) -> Field:
    """Return the signed distance to the outline of a few irregular pieces, px."""
    from scipy.ndimage import distance_transform_edt, gaussian_filter

    y, x = np.mgrid[:rows, :columns] * NODE_PX
    height = _pieces(rng, x / width_px, y / height_px)
    wave = max(8.0, min(rows, columns) / 5)
    for scale, weight in ((wave, 0.22), (wave / 4, 0.07), (wave / 16, 0.03)):
        height = height + weight * smooth_noise(rng, rows, columns, scale)
    on_slide = (x < width_px) & (y < height_px)
    margin = np.minimum(
        np.minimum(x, width_px - x) / width_px, np.minimum(y, height_px - y) / height_px
    )
    # Values fall towards the border, so that the outline does not run along it.
    height = height - 0.8 * np.clip(2 - margin / _MARGIN, 0, 1)
    height = np.where(margin > _MARGIN, height, -np.inf)
    tissue = height > np.quantile(height[on_slide], 1 - share, method="nearest")
    signed = distance_transform_edt(tissue) - distance_transform_edt(~tissue)
    smooth = gaussian_filter(signed.astype(np.float32), 1.0) * np.float32(NODE_PX)
    result: Field = np.clip(smooth, -_FAR_PX, _FAR_PX)
    return result


def _pieces(rng: Generator, x: NDArray[np.float64], y: NDArray[np.float64]) -> Field:
    """Return a height map [h, w] with one hill for each piece of tissue; x and y are 0 to 1."""
    count = int(rng.choice([1, 2, 3]))
    hills = []
    for piece in range(count):
        middle = ((piece + 0.5) / count + rng.normal(0, 0.02), 0.5 + rng.normal(0, 0.05))
        spread = (0.5 / count * rng.uniform(0.85, 1.0), 0.5 * rng.uniform(0.8, 1.0))
        away = ((x - middle[0]) / spread[0]) ** 2 + ((y - middle[1]) / spread[1]) ** 2
        hills.append(1 - np.sqrt(away))
    result: Field = np.maximum.reduce(hills).astype(np.float32)
    return result


def _clustered_ranks(rng: Generator, rows: int, columns: int, count: int) -> NDArray[np.int64]:
    """Return numbers from 0 to ``count`` - 1, used equally often, high ones grouped in hotspots."""
    field = smooth_noise(rng, rows, columns, 6.0) + 0.5 * rng.standard_normal((rows, columns))
    order = field.ravel().argsort(kind="stable").argsort(kind="stable").reshape(rows, columns)
    result: NDArray[np.int64] = order * count // order.size
    for (row, column), number in np.ndenumerate(result):
        beside = {int(result[row, column - 1])} if column else set()
        above = {int(result[row - 1, column])} if row else set()
        while count > 2 and number in beside | above:  # equal neighbours would be conspicuous
            number = (number + 1) % count
        result[row, column] = number
    return result
