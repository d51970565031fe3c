"""Merging within a radius: of candidates that are close together, the best score remains.

Greedy by score, across labels: a mitotic figure and a hard negative at one place are two readings
of one object, and the better score wins. A point is removed if a *kept* point of better rank lies
within the radius (distance <= radius); a removed point removes no other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

_MAX_PAIRS = 4_000_000  # pairs held at once: about 100 MB
_SLACK = 1 + 1e-9  # the tree is asked for a little more, and the exact rule decides


def merge(
    x_px: ArrayLike, y_px: ArrayLike, score: ArrayLike, label: ArrayLike, radius_px: float
) -> NDArray[np.int64]:
    """Return the indices [k] of the points that remain, by falling score.

    All arguments are vectors [n]. Ties are broken by y, x and label, so the result does not depend
    on the order of the input. The time is n log n for sparse points, and bounded where thousands
    lie in one place. Raises ValueError for a radius that is not positive.
    """
    if not radius_px > 0:
        raise ValueError(f"the radius must be positive, not {radius_px}")
    x, y = np.asarray(x_px, np.float64), np.asarray(y_px, np.float64)
    rank = np.lexsort((np.asarray(label), x, y, -np.asarray(score, np.float64)))
    points = np.stack([x[rank], y[rank]], axis=1)
    return np.asarray(rank[_keep(points, radius_px)], dtype=np.int64)


def _keep(points: NDArray[np.float64], radius: float) -> NDArray[np.int64]:
    """Return the rows that remain, for rows in order of rank."""
    if len(points) < 2:
        return np.arange(len(points))
    tree = _tree(points)
    if tree.count_neighbors(tree, radius * _SLACK) > 2 * _MAX_PAIRS + len(points):
        return _keep_by_halves(points, radius)
    pairs = np.sort(tree.query_pairs(radius * _SLACK, output_type="ndarray"), axis=1)
    pairs = pairs[_squared(points[pairs[:, 0]], points[pairs[:, 1]]) <= radius * radius]
    pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
    better, first = np.unique(pairs[:, 0], return_index=True)
    last = np.append(first, len(pairs))[1:]
    stays = np.ones(len(points), dtype=bool)
    worse = pairs[:, 1]
    for row, start, stop in zip(better.tolist(), first.tolist(), last.tolist(), strict=True):
        if stays[row]:
            stays[worse[start:stop]] = False
    return np.flatnonzero(stays)


def _keep_by_halves(points: NDArray[np.float64], radius: float) -> NDArray[np.int64]:
    """The same with less memory: first the better half, then what it leaves of the other half."""
    half = len(points) // 2
    upper = _keep(points[:half], radius)
    kept = points[upper]
    _, nearest = _tree(kept).query(points[half:], distance_upper_bound=radius * _SLACK)
    near = nearest < len(kept)
    removed = np.zeros(len(points) - half, dtype=bool)
    removed[near] = _squared(points[half:][near], kept[nearest[near]]) <= radius * radius
    rest = half + np.flatnonzero(~removed)
    return np.concatenate([upper, rest[_keep(points[rest], radius)]])


def _tree(points: NDArray[np.float64]) -> Any:
    from scipy.spatial import cKDTree

    # Split at midpoints: medians take much longer where many points coincide.
    return cKDTree(points, balanced_tree=False, compact_nodes=False)


def _squared(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    d = a - b
    return np.asarray(d[:, 0] * d[:, 0] + d[:, 1] * d[:, 1])
