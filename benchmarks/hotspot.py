"""The exact hotspot of 2 mm2 among 100,000 figures, by shape and distribution.

Processor time on one core for the first hotspot, at 0.25 um/px; target 2 s. Uniformly random
figures are the hard case: many windows are nearly as good as the best.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from benchmarks.scene import Row, cpu_seconds_of
from metaphase.counting.hotspot import find_hotspots
from metaphase.counting.window import WindowShape

FIGURES = {"tiny": 500, "small": 100_000, "large": 100_000}
SHAPES = ("circle", "square", "4:3")
TARGET_S = 2.0
MPP = 0.25


def rows(size: str = "small") -> Iterator[Row]:
    n = FIGURES[size]
    rng = np.random.default_rng(0)
    lying = {
        "in 40 clusters and scattered, 625 mm2": _clusters(rng, n, 625.0),
        "evenly random, 625 mm2": rng.random((n, 2)) * _side(625.0),
        "evenly random, 100 mm2": rng.random((n, 2)) * _side(100.0),
    }
    find_hotspots(rng.random((100, 2)) * 1000, WindowShape.parse("circle", 2.0), MPP)  # imports
    for name, points in lying.items():
        for shape in SHAPES:
            window = WindowShape.parse(shape, 2.0)
            took = cpu_seconds_of(lambda p=points, w=window: find_hotspots(p, w, MPP))
            target = f"target {TARGET_S:g} s"
            yield f"{n:,} {name}, {shape}", f"{took:.2f} s", target, f"{took / TARGET_S:.2f}"


def _side(mm2: float) -> float:
    return math.sqrt(mm2) * 1000 / MPP


def _clusters(rng: np.random.Generator, n: int, mm2: float) -> np.ndarray:
    """Return half of the points in clusters of 0.5 mm and the other half anywhere."""
    side = _side(mm2)
    middles = rng.random((40, 2)) * side
    near = middles[rng.integers(0, 40, n // 2)] + rng.normal(0, 500 / MPP, (n // 2, 2))
    return np.concatenate([near, rng.random((n - n // 2, 2)) * side]).clip(0, side)
