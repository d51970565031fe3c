"""The largest one-to-one set of pairs with the least total distance."""

from __future__ import annotations

import numpy as np

from metaphase.arrays import FloatArray, IntArray

_SMALL = 1_000_000  # cells of a dense cost matrix


def least_distance(
    truth: IntArray,
    point: IntArray,
    distance: FloatArray,
    radius: float,
) -> list[tuple[int, int]]:
    """Return (truth, point) pairs: as many as possible one-to-one, then with least total distance.

    ``truth, point, distance`` [k] list the allowed pairs. Most figures and points have one partner
    only; the others form small connected groups, each an assignment problem (Jonker and Volgenant
    1987; scipy's ``linear_sum_assignment``).
    """
    if not len(truth):
        return []
    group = _groups(truth, point)
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    pairs: list[tuple[int, int]] = []
    for rows in np.split(order, starts[1:]):
        if len(rows) == 1:
            pairs.append((int(truth[rows[0]]), int(point[rows[0]])))
        else:
            pairs += _assign(truth[rows], point[rows], distance[rows], radius)
    return sorted(pairs)


def _groups(truth: IntArray, point: IntArray) -> IntArray:
    """Return for each pair the number of its connected group."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n, m = int(truth.max()) + 1, int(point.max()) + 1
    graph = coo_array((np.ones(len(truth)), (truth, n + point)), shape=(n + m, n + m))
    _, labels = connected_components(graph, directed=False)
    return np.asarray(labels[truth], dtype=np.int64)


def _assign(
    truth: IntArray,
    point: IntArray,
    distance: FloatArray,
    radius: float,
) -> list[tuple[int, int]]:
    truths, row = np.unique(truth, return_inverse=True)
    points, column = np.unique(point, return_inverse=True)
    # The cost of no pair: larger than any sum of distances, so that more pairs always win.
    unpaired = (min(len(truths), len(points)) + 1) * (radius + 1)
    if len(truths) * len(points) <= _SMALL:
        from scipy.optimize import linear_sum_assignment

        cost = np.full((len(truths), len(points)), unpaired, dtype=np.float64)
        cost[row, column] = distance
        rows, columns = linear_sum_assignment(cost)
        real = cost[rows, columns] < unpaired
        rows, columns = rows[real], columns[real]
    else:
        rows, columns = _sparse(row, column, distance, unpaired, len(truths), len(points))
    return list(zip(truths[rows].tolist(), points[columns].tolist(), strict=True))


def _sparse(
    row: IntArray,
    column: IntArray,
    distance: FloatArray,
    unpaired: float,
    n: int,
    m: int,
) -> tuple[IntArray, IntArray]:
    """Solve a large group as a sparse problem: each figure may also take a dummy point."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    dummy = np.arange(n)
    weights = np.concatenate([distance + 1, np.full(n, unpaired + 1)])  # zeros would mean "no pair"
    graph = coo_array(
        (weights, (np.concatenate([row, dummy]), np.concatenate([column, m + dummy]))),
        shape=(n, m + n),
    ).tocsr()
    # SciPy before 1.12 takes indices of 32 bits only.
    graph.indices, graph.indptr = graph.indices.astype(np.int32), graph.indptr.astype(np.int32)
    rows, columns = min_weight_full_bipartite_matching(graph)
    real = columns < m
    return rows[real], columns[real]
