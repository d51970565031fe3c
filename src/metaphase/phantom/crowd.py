"""Where the ordinary nuclei lie: packed in epithelium, along the fibres in stroma."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metaphase.phantom.interphase import EPITHELIAL, LYMPHOID, STROMAL, Kind, nuclei
from metaphase.phantom.noise import Field, Generator
from metaphase.phantom.stamp import press
from metaphase.phantom.tissue import Tissue

Points = NDArray[np.float64]

_ROOM_UM = (6.5, 10.5)  # between a figure and the middle of another nucleus
_LIBRARY = 40  # different nuclei of a kind; most in eight symmetries


@dataclass(frozen=True, slots=True)
class Crowd:
    """One kind of nucleus: how far apart, where (0 to 1, [h, w]), and its share of the places."""

    kind: Kind
    spacing_um: float
    where: Field
    share: float
    aligned: bool = False


def fill_with_nuclei(rng: Generator, tissue: Tissue, figures: Points) -> None:
    """Draw all ordinary nuclei, leaving room around the figures [n, 2]."""
    size = rng.uniform(0.9, 1.15)  # of this patient's tumour
    apart = rng.uniform(10.5, 13.0) * size
    stroma = 1 - tissue.epithelium
    for crowd in (
        Crowd(STROMAL, 13.0, stroma, 0.55, aligned=True),
        Crowd(EPITHELIAL.scaled(size), apart, tissue.epithelium, 0.92),
        Crowd(LYMPHOID, 16.0, stroma * 0.7 + 0.1, float(rng.uniform(0.1, 0.4))),
    ):
        _scatter(rng, tissue, crowd, figures)


def _scatter(rng: Generator, tissue: Tissue, crowd: Crowd, figures: Points) -> None:
    points = _shaken_grid(rng, tissue, crowd.spacing_um)
    x, y = points.T.astype(np.int64)
    chance = crowd.where[y, x] * crowd.share * (1 - tissue.glass[y, x])
    points = points[rng.random(len(points)) < chance]
    for figure in figures:
        room = rng.uniform(*_ROOM_UM) / tissue.mpp
        points = points[np.hypot(*(points - figure).T) > room]
    direction = tissue.direction if crowd.aligned else None
    library = nuclei(rng, crowd.kind, _LIBRARY, tissue.mpp, direction)
    picks = rng.integers(0, _LIBRARY, len(points))
    turns = rng.integers(0, 8, len(points))
    if crowd.aligned:
        turns = turns & 2  # by half a turn only
    for (px, py), pick, turn in zip(points, picks, turns, strict=True):
        stamp = library[pick].turned(int(turn))
        press(tissue.haematoxylin, tissue.eosin, stamp, float(px), float(py))


def _shaken_grid(rng: Generator, tissue: Tissue, spacing_um: float) -> Points:
    height, width = tissue.eosin.shape
    pitch = spacing_um / tissue.mpp
    rows, cols = np.mgrid[0 : int(height / pitch) + 1, 0 : int(width / pitch) + 1]
    x = (cols + 0.5 * (rows % 2)) * pitch + rng.normal(0, pitch * 0.2, rows.shape)
    y = rows * pitch + rng.normal(0, pitch * 0.2, rows.shape)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    return np.stack([x[inside], y[inside]], axis=1)
