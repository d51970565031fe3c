import itertools

import numpy as np
import pytest

from metaphase.evaluation.matching import match


def largest_by_trying(truth, points, radius):
    """The size of the largest one-to-one set, and its least total distance, by trying all."""
    near = np.hypot(*(np.subtract.outer(truth[:, k], points[:, k]) for k in (0, 1)))
    small, large = sorted(near.shape)
    if near.shape[0] != small:
        near = near.T
    best = (0, 0.0)
    for columns in itertools.permutations(range(large), small):
        kept = [d for d in near[range(small), columns] if d <= radius]
        best = max(best, (len(kept), -sum(kept)))
    return best[0], -best[1]


def random_case(rng, most=12, side=20):
    """Crowded points on a grid, so that equal distances and equal scores are common."""
    n, m = rng.integers(0, most, 2)
    side = rng.integers(2, side)
    truth = rng.integers(0, side, (n, 2)).astype(float)
    points = rng.integers(0, side, (m, 2)).astype(float)
    return truth, points, rng.integers(0, 6, m) / 5, float(rng.integers(1, 7))


def test_optimal_is_the_largest_set_of_least_distance():
    rng = np.random.default_rng(7)
    for _ in range(300):
        truth, points, scores, radius = random_case(rng, most=6, side=14)
        if len(truth) and len(points):
            found = match(truth, points, scores, radius, "optimal")
            size, distance = largest_by_trying(truth, points, radius)
            rows = np.flatnonzero(found.point_of_truth >= 0)
            away = truth[rows] - points[found.point_of_truth[rows]]
            assert found.tp == size
            assert np.hypot(*away.T).sum() == pytest.approx(distance)


def test_a_large_group_is_assigned_as_a_small_one(monkeypatch):
    from metaphase.evaluation import assignment

    rng = np.random.default_rng(3)
    truth, points = rng.uniform(0, 30, (40, 2)), rng.uniform(0, 30, (50, 2))
    points[:5] = truth[:5]  # distances of zero
    dense = match(truth, points, np.ones(50), 6, "optimal")
    monkeypatch.setattr(assignment, "_SMALL", 0)
    sparse = match(truth, points, np.ones(50), 6, "optimal")
    assert dense.point_of_truth.tolist() == sparse.point_of_truth.tolist()
    assert dense.tp > 30
