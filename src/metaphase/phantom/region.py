"""One synthetic region: tissue, nuclei, figures, and its image by a synthetic scanner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metaphase.arrays import Pixels
from metaphase.errors import InputError
from metaphase.figures import Label
from metaphase.phantom.cell import draw_cell
from metaphase.phantom.hardnegatives import HARD_NEGATIVE_TYPES, hard_negative
from metaphase.phantom.mitoses import PHASES, mitotic_figure
from metaphase.phantom.noise import Generator
from metaphase.phantom.nuclei import draw_nuclei
from metaphase.phantom.scanners import SCANNERS, Scanner, find_scanner, scan
from metaphase.phantom.tissue import Tissue, draw_tissue
from metaphase.units import area_mm2

MITOTIC_PER_MM2 = 66.0
HARD_NEGATIVE_PER_MM2 = 80.0
MARGIN_PX = 32
"""No figure is nearer to the border, so that its box of 50 px lies inside the image."""

MAX_PER_MM2 = 500.0
_MIN_DISTANCE_UM = 24.0  # between figures: more than three matching radii


@dataclass(frozen=True, slots=True)
class SyntheticFigure:
    """A figure that was drawn: its centre in pixels, its label, and its phase or kind."""

    x_px: float
    y_px: float
    label: Label
    kind: str


def render_region(
    seed: int | Sequence[int] | Generator,
    width: int,
    height: int,
    scanner: Scanner | str = SCANNERS[0],
    *,
    mitotic_per_mm2: float = MITOTIC_PER_MM2,
    hard_negative_per_mm2: float = HARD_NEGATIVE_PER_MM2,
) -> tuple[Pixels, list[SyntheticFigure]]:
    """Return a synthetic H&E region, uint8 RGB [height, width, 3], and the figures in it.

    The same ``seed`` gives the same region. Densities are per mm2 of image; the numbers of figures
    vary by up to 20 % around them. Where there is no room, fewer figures are drawn; the list
    holds exactly those that are in the image. Raises InputError for an impossible size, density or
    scanner.
    """
    _check(width, height, mitotic_per_mm2, hard_negative_per_mm2)
    rng = np.random.default_rng(seed)
    used = find_scanner(scanner) if isinstance(scanner, str) else scanner
    tissue, figures = draw_region(
        rng,
        width,
        height,
        used.mpp,
        mitotic_per_mm2=mitotic_per_mm2,
        hard_negative_per_mm2=hard_negative_per_mm2,
    )
    return scan(rng, tissue.haematoxylin, tissue.eosin, used), figures


def draw_region(
    rng: Generator,
    width: int,
    height: int,
    mpp: float,
    *,
    mitotic_per_mm2: float,
    hard_negative_per_mm2: float,
    strength: tuple[float, float] | None = None,
) -> tuple[Tissue, list[SyntheticFigure]]:
    """Return the dye maps of a region, before scanning, and the figures in it.

    ``strength`` is the strength of both dyes; by default it is random for every region.
    """
    tissue = draw_tissue(rng, width, height, mpp, strength)
    area = area_mm2(width, height, mpp)
    counts = (
        _random_count(rng, mitotic_per_mm2 * area),
        _random_count(rng, hard_negative_per_mm2 * area),
    )
    figures = _place_figures(rng, tissue, *counts)
    draw_nuclei(rng, tissue, np.array([(f.x_px, f.y_px) for f in figures]).reshape(-1, 2))
    for figure in figures:
        draw = mitotic_figure if figure.label is Label.MITOTIC else hard_negative
        cell = draw(rng, figure.kind, mpp)
        draw_cell(tissue.haematoxylin, tissue.eosin, cell, figure.x_px, figure.y_px)
    return tissue, figures


def _check(width: int, height: int, *densities: float) -> None:
    if min(width, height) < 4 * MARGIN_PX:
        raise InputError.of(
            "a synthetic region",
            f"{width} x {height} px is too small",
            way_out=f"take {4 * MARGIN_PX} or more",
        )
    for density in densities:
        if not 0 <= density <= MAX_PER_MM2:
            raise InputError.of(
                "a synthetic region",
                f"{density:g} figures per mm2 do not fit",
                way_out=f"0 to {MAX_PER_MM2:g}",
            )


def _random_count(rng: Generator, mean: float) -> int:
    return int(np.floor(mean * rng.uniform(0.8, 1.2) + rng.random()))


def _place_figures(
    rng: Generator, tissue: Tissue, mitotic: int, negative: int
) -> list[SyntheticFigure]:
    """Choose positions for all figures first, then a label and a kind for each."""
    places = _positions(rng, tissue, mitotic + negative)
    labels = [Label.MITOTIC] * mitotic + [Label.HARD_NEGATIVE] * negative
    order = rng.permutation(len(labels))
    figures = []
    for (x, y), index in zip(places, order, strict=False):
        label = labels[index]
        table = PHASES if label is Label.MITOTIC else HARD_NEGATIVE_TYPES
        kind = str(rng.choice(list(table), p=list(table.values())))
        figures.append(SyntheticFigure(float(x), float(y), label, kind))
    return figures


def _positions(rng: Generator, tissue: Tissue, count: int) -> NDArray[np.int64]:
    """Return up to ``count`` positions [n, 2] (x, y) in solid tissue, apart from each other."""
    height, width = tissue.eosin.shape
    tries = 400 + 60 * count
    x = rng.integers(MARGIN_PX, width - MARGIN_PX + 1, tries)
    y = rng.integers(MARGIN_PX, height - MARGIN_PX + 1, tries)
    weight = np.where(tissue.epithelium[y, x] > 0.5, 1.0, 0.12)
    solid = tissue.glass[y, x] < 0.05
    candidates = np.stack([x, y], axis=1)[solid & (rng.random(tries) < weight)]
    chosen = np.empty((0, 2), np.int64)
    for place in candidates:
        if len(chosen) == count:
            break
        if not (np.hypot(*(chosen - place).T) < _MIN_DISTANCE_UM / tissue.mpp).any():
            chosen = np.vstack([chosen, place])
    return chosen
