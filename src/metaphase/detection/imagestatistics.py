"""Statistics of an image: its stain, its sharpness, and the response of the network to it.

They are means over a few tiles of the detection grid. The same tiles are taken when the training
images are measured and when a slide is compared with them (``domainshift.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaphase.arrays import Float32Array, FloatArray, Pixels
from metaphase.detection.plan import Plan
from metaphase.detection.prefetch import prefetch
from metaphase.detection.runtime import Runtime
from metaphase.slides.slide import Slide

COMPONENTS: dict[str, tuple[str, ...]] = {
    "stain": ("density_red", "density_green", "density_blue", "density_spread"),
    "sharpness": ("fine", "fine_to_middle", "middle_to_coarse"),
    "response": ("score_mean", "score_spread", "score_top"),
}
"""The statistics of each component. Densities are optical (natural logarithm). Sharpness is the
logarithm of the contrast between Gaussians of 0, 1, 2 and 4 px. Scores are logits."""

NAMES = tuple(name for names in COMPONENTS.values() for name in names)

FEWEST_TILES, MOST_TILES = 4, 12
_TILES_PER_SAMPLE = 8  # one tile in eight, within these bounds
MIDDLE_PX = 320
"""Of a larger tile the middle is measured, where that holds tissue: the Gaussians of a whole tile
of 512 px took as long as the network."""

_FAINT = 0.15  # mean optical density of R, G, B above which a pixel is tissue
_BLACK = 8
_LEAST_TISSUE = 0.1
_OD = -np.log((np.arange(256) + 1) / 256).astype(np.float32)

Statistics = dict[str, float]


def image_statistics(
    slide: Slide, plan: Plan, runtime: Runtime, rows: FloatArray | None = None
) -> Statistics | None:
    """Return the statistics of an image, None where no sampled tile holds tissue.

    ``rows`` (``to_row``) are those of tiles that were measured while the network was run.
    """
    scale, side = plan.grid.scale, plan.grid.tile
    measured = {} if rows is None else dict(map(from_row, rows))

    def measure(number: int) -> Statistics | None:
        if number in measured:
            return measured[number]
        x, y = plan.grid.corner(number)
        pixels = slide.read(x * scale, y * scale, side, side, plan.mpp)
        statistics = tile_statistics(pixels)
        if statistics is None:
            return None
        return statistics | response_statistics(runtime.run(pixels[None]))

    streams = runtime.streams
    sample = sample_tiles(plan.tiles).tolist()
    parts = prefetch(measure, sample, workers=streams, depth=2 * streams)
    return mean_statistics([statistics for statistics in parts if statistics is not None])


def to_row(number: int, pixels: Pixels, maps: Sequence[Float32Array]) -> FloatArray:
    """Return a tile's number and statistics as a row [1 + n]; NaN where it holds no tissue.

    ``maps`` are the output maps of this tile alone.
    """
    statistics = tile_statistics(pixels)
    if statistics is None:
        return np.array([number, *([np.nan] * len(NAMES))])
    statistics |= response_statistics(maps)
    return np.array([number, *(statistics[name] for name in NAMES)])


def from_row(row: FloatArray) -> tuple[int, Statistics | None]:
    """Return the number and the statistics of ``to_row``."""
    number, *values = row.tolist()
    missing = any(np.isnan(value) for value in values)
    return int(number), None if missing else dict(zip(NAMES, values, strict=True))


def sample_tiles(tiles: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return evenly spread tiles of a plan, the same ones for the same image."""
    wanted = max(FEWEST_TILES, min(MOST_TILES, len(tiles) // _TILES_PER_SAMPLE))
    count = min(len(tiles), wanted)
    if count == 0:
        return tiles
    steps = (np.arange(count) + 0.5) * len(tiles) / count
    return tiles[steps.astype(np.int64)]


def tile_statistics(pixels: Pixels, without: NDArray[np.bool_] | None = None) -> Statistics | None:
    """Return stain and sharpness of a tile [h, w, 3], None where it holds too little tissue.

    ``without`` [h, w] marks pixels to ignore.
    """
    if without is None and min(pixels.shape[:2]) > MIDDLE_PX:
        top, left = ((side - MIDDLE_PX) // 2 for side in pixels.shape[:2])
        middle = pixels[top : top + MIDDLE_PX, left : left + MIDDLE_PX]
        return _statistics(middle, None) or _statistics(pixels, None)
    return _statistics(pixels, without)


def _statistics(pixels: Pixels, without: NDArray[np.bool_] | None) -> Statistics | None:
    od = np.take(_OD, pixels)
    mean = od.mean(axis=2)
    tissue = (mean > _FAINT) & (pixels.max(axis=2) > _BLACK)
    if without is not None:
        tissue &= ~without
    if tissue.mean() < _LEAST_TISSUE:
        return None
    density = od[tissue].mean(axis=0)
    bands = _bands(pixels.mean(axis=2), tissue)
    fine, middle, coarse = np.log(np.maximum(bands, 1e-3))
    return {
        "density_red": float(density[0]),
        "density_green": float(density[1]),
        "density_blue": float(density[2]),
        "density_spread": float(mean[tissue].std()),
        "fine": float(fine),
        "fine_to_middle": float(fine - middle),
        "middle_to_coarse": float(middle - coarse),
    }


def response_statistics(maps: Sequence[NDArray[np.float32]]) -> Statistics:
    """Return the statistics of the score map of a tile: ``maps[0]`` are logits [1, c, h, w]."""
    logits = np.clip(maps[0][:, :1].astype(np.float64), -20, 20)
    top = np.sort(logits.ravel())[-max(1, logits.size // 1000) :]
    return {
        "score_mean": float(logits.mean()),
        "score_spread": float(logits.std()),
        "score_top": float(top.mean()),
    }


def mean_statistics(parts: Sequence[Mapping[str, float]]) -> Statistics | None:
    """Return the mean of the statistics that all parts have, None without parts."""
    if not parts:
        return None
    names = set.intersection(*(set(part) for part in parts))
    return {name: float(np.mean([part[name] for part in parts])) for name in sorted(names)}


def _bands(grey: NDArray[Any], tissue: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the contrast [3] between Gaussians of 0, 1, 2 and 4 px, in grey levels."""
    from scipy.ndimage import gaussian_filter

    levels = [grey.astype(np.float32)]
    levels += [gaussian_filter(levels[0], sigma, truncate=3.0) for sigma in (1.0, 2.0, 4.0)]
    return np.array([float((a - b)[tissue].std()) for a, b in pairwise(levels)])
