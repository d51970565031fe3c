"""The background of nuclei in interphase: dense in epithelium, along the fibres in stroma."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metaphase.phantom.cell import draw_cell
from metaphase.phantom.interphase import EPITHELIAL, LYMPHOID, STROMAL, Kind, nuclei
from metaphase.phantom.noise import Field, Generator
from metaphase.phantom.tissue import Tissue

Points = NDArray[np.float64]

_CLEARANCE_UM = (6.5, 10.5)  # from a figure to the centre of another nucleus
_LIBRARY = 40  # different nuclei of a kind, most of them in eight symmetries


@dataclass(frozen=True, slots=True)
class Population:
    """One kind of nucleus: spacing, density (0 to 1, [h, w]) and share of the places filled."""

    kind: Kind
    spacing_um: float
    density: Field
    share: float
    aligned: bool = False


def draw_nuclei(rng: Generator, tissue: Tissue, figures: Points) -> None:
    """Draw all background nuclei, at a distance from the figures [n, 2]."""
    size = rng.uniform(0.9, 1.15)  # of this patient's tumour
    apart = rng.uniform(10.5, 13.0) * size
    stroma = 1 - tissue.epithelium
    for population in (
        Population(STROMAL, 13.0, stroma, 0.55, aligned=True),
        Population(EPITHELIAL.scaled(size), apart, tissue.epithelium, 0.92),
        Population(LYMPHOID, 16.0, stroma * 0.7 + 0.1, float(rng.uniform(0.1, 0.4))),
    ):
        _draw_population(rng, tissue, population, figures)


def _draw_population(
    rng: Generator, tissue: Tissue, population: Population, figures: Points
) -> None:
    points = _jittered_grid(rng, tissue, population.spacing_um)
    x, y = points.T.astype(np.int64)
    chance = population.density[y, x] * population.share * (1 - tissue.glass[y, x])
    points = points[rng.random(len(points)) < chance]
    for figure in figures:
        clearance = rng.uniform(*_CLEARANCE_UM) / tissue.mpp
        points = points[np.hypot(*(points - figure).T) > clearance]
    direction = tissue.direction if population.aligned else None
    library = nuclei(rng, population.kind, _LIBRARY, tissue.mpp, direction)
    picks = rng.integers(0, _LIBRARY, len(points))
    turns = rng.integers(0, 8, len(points))
    if population.aligned:
        turns = turns & 2  # by half a turn only
    for (px, py), pick, turn in zip(points, picks, turns, strict=True):
        cell = library[pick].turned(int(turn))
        draw_cell(tissue.haematoxylin, tissue.eosin, cell, float(px), float(py))


def _jittered_grid(rng: Generator, tissue: Tissue, spacing_um: float) -> Points:
    height, width = tissue.eosin.shape
    pitch = spacing_um / tissue.mpp
    rows, cols = np.mgrid[0 : int(height / pitch) + 1, 0 : int(width / pitch) + 1]
    x = (cols + 0.5 * (rows % 2)) * pitch + rng.normal(0, pitch * 0.2, rows.shape)
    y = rows * pitch + rng.normal(0, pitch * 0.2, rows.shape)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    return np.stack([x[inside], y[inside]], axis=1)
