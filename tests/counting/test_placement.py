"""The search agrees with the classical sweeps, implemented here independently."""

from __future__ import annotations

import numpy as np
import pytest

from metaphase.counting.hotspot import find_hotspots
from metaphase.counting.placement import convolved
from metaphase.counting.window import WindowShape


def fields(seed, n):
    rng = np.random.default_rng(seed)
    middle = rng.uniform(0, 10_000, (5, 2))
    clustered = middle[rng.integers(0, 5, n)] + rng.normal(0, 900, (n, 2))
    return {
        "even": np.round(rng.uniform(0, 10_000, (n, 2)), 2),
        "clustered": np.round(clustered, 2),
        "whole pixels": np.round(rng.uniform(0, 10_000, (n, 2)), -1),
    }


def sweep_of_rectangles(points, width, height, slack):
    """For each figure as the left edge: the fullest stretch of y among those in the strip."""
    points = points[np.argsort(points[:, 0], kind="stable")]
    best = 0
    ends = np.searchsorted(points[:, 0], points[:, 0] + width + slack, side="right")
    for i, end in enumerate(ends):
        start = np.searchsorted(points[:, 0], points[i, 0], side="left")
        ys = np.sort(points[start:end, 1])
        held = np.searchsorted(ys, ys + height + slack, side="right") - np.arange(len(ys))
        best = max(best, int(held.max()))
    return best


def sweep_of_discs(points, radius):
    """For each figure: the angle at which a disc with it on the edge holds the most others."""
    best = 1
    for i, point in enumerate(points):
        away = np.delete(points, i, axis=0) - point
        distance = np.hypot(away[:, 0], away[:, 1])
        same = int((distance == 0).sum())
        away, distance = (v[(distance > 0) & (distance <= 2 * radius)] for v in (away, distance))
        towards = np.arctan2(away[:, 1], away[:, 0])
        half = np.arccos(np.clip(distance / (2 * radius), -1, 1))
        opens, closes = (towards - half) % (2 * np.pi), (towards + half) % (2 * np.pi)
        before = int((opens > closes).sum())
        angles = np.concatenate([opens, closes])
        change = np.concatenate([np.ones(len(opens)), -np.ones(len(closes))])
        order = np.lexsort((-change, angles))  # at one angle, first in and then out
        held = before + np.cumsum(change[order])
        best = max(best, 1 + same + int(max(before, held.max(initial=0))))
    return best


@pytest.mark.parametrize("name", ["even", "clustered", "whole pixels"])
@pytest.mark.parametrize("shape", ["square", "4:3"])
@pytest.mark.parametrize("seed", [1, 2])
def test_rectangles(name, shape, seed):
    points = fields(seed, 5000)[name]
    window = WindowShape.parse(shape, 0.04)
    (width, height), *_ = window.sizes_px(0.25)
    (hotspot,) = find_hotspots(points, window, 0.25)
    low, high = (sweep_of_rectangles(points, width, height, s) for s in (0.0, 4e-6))
    assert low <= hotspot.count <= high


@pytest.mark.parametrize("name", ["even", "clustered"])
@pytest.mark.parametrize("seed", [1, 2])
def test_discs(name, seed):
    points = fields(seed, 2500)[name]
    window = WindowShape.parse("circle", 0.04)
    radius = window.sizes_px(0.25)[0][0] / 2
    (hotspot,) = find_hotspots(points, window, 0.25)
    low, high = (sweep_of_discs(points, radius + s) for s in (0.0, 2e-6))
    assert low <= hotspot.count <= high


def test_the_convolution_is_that_of_scipy():
    from scipy.signal import fftconvolve

    rng = np.random.default_rng(4)
    for shape, kernel in (((40, 31), (7, 7)), ((9, 50), (9, 3)), ((100, 5), (5, 5))):
        values, weights = rng.integers(0, 9, shape).astype(float), rng.random(kernel)
        expected = fftconvolve(values, weights, mode="same")
        np.testing.assert_allclose(convolved(values, weights), expected, atol=1e-9)
