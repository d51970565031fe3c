import numpy as np
import pytest

from metaphase.evaluation.curves import (
    Counts,
    average_precision,
    froc,
    pooled_curve,
)
from metaphase.evaluation.matching import Gains


def curve(scores, right, truths):
    right = np.asarray(right, np.int64)
    return pooled_curve([np.asarray(scores, float)], [Gains(right, 1 - right)], truths)


def test_scores_of_counts():
    counts = Counts(6, 2, 4)
    assert counts.precision == 0.75
    assert counts.recall == 0.6
    assert counts.f1 == pytest.approx(2 * 0.75 * 0.6 / (0.75 + 0.6))
    assert counts + Counts(1, 1, 1) == Counts(7, 3, 5)


def test_what_is_undefined_is_none():
    assert Counts().f1 is Counts().precision is Counts().recall is None
    assert Counts(fp=3).recall is None
    assert Counts(fp=3).f1 == 0
    assert Counts(fn=3).precision is None
    assert Counts(fn=3).f1 == 0


def test_equal_scores_enter_together():
    found = curve([0.9, 0.5, 0.5, 0.2], [1, 0, 1, 0], 3)
    assert found.threshold.tolist() == [0.9, 0.5, 0.2]
    assert found.tp.tolist() == [1, 2, 2]
    assert found.fp.tolist() == [0, 1, 2]
    assert found.at(0.5) == Counts(2, 1, 1)
    assert found.at(0.51) == Counts(1, 0, 2)
    assert found.at(0.95) == Counts(0, 0, 3)
    assert found.at(0.0) == Counts(2, 2, 1)


def test_cases_are_pooled_by_score():
    one, other = np.array([0.9, 0.1]), np.array([0.5])
    gained = [Gains(np.array([1, 0]), np.array([0, 1])), Gains(np.array([1]), np.array([0]))]
    assert pooled_curve([one, other], gained, 2).tp.tolist() == [1, 2, 2]


def test_average_precision_by_hand():
    # precision 1, 1/2, 2/3, 2/4 at recall 1/4, 1/4, 2/4, 2/4; the envelope is 1 and then 2/3
    found = curve([0.9, 0.8, 0.7, 0.6], [1, 0, 1, 0], 4)
    assert average_precision(found) == pytest.approx(0.25 * 1 + 0.25 * 2 / 3)


def test_average_precision_at_the_ends():
    assert average_precision(curve([0.9, 0.8], [1, 1], 2)) == 1
    assert average_precision(curve([0.9, 0.8], [1, 1], 4)) == 0.5
    assert average_precision(curve([], [], 2)) == 0
    assert average_precision(curve([0.9], [0], 0)) is None
    assert average_precision(pooled_curve([], [], 2)) == 0


def test_average_precision_agrees_with_a_slow_reading():
    rng = np.random.default_rng(1)
    for _ in range(50):
        n = int(rng.integers(1, 40))
        scores, right = rng.integers(0, 15, n) / 15, rng.integers(0, 2, n)
        truths = int(right.sum()) + int(rng.integers(0, 4))
        if truths == 0:
            continue
        points = []
        for threshold in np.unique(scores):
            kept = scores >= threshold
            points.append((right[kept].sum() / truths, right[kept].mean()))
        area, before = 0.0, 0.0
        for recall in sorted({r for r, _ in points}):
            area += (recall - before) * max(p for r, p in points if r >= recall)
            before = recall
        assert average_precision(curve(scores, right, truths)) == pytest.approx(area)


def test_froc():
    found = froc(curve([0.9, 0.8, 0.7, 0.6, 0.5], [1, 0, 1, 0, 1], 4), 2.0, (0.1, 0.5, 1.0, 5.0))
    assert found.sensitivity == {0.1: 0.25, 0.5: 0.5, 1.0: 0.75, 5.0: 0.75}
    assert found.reached == {0.1: True, 0.5: True, 1.0: False, 5.0: False}


def test_froc_without_area_or_truth():
    assert froc(curve([0.9], [0], 0), 2.0).sensitivity == {}
    assert froc(curve([0.9], [1], 1), 0.0).sensitivity == {}
    assert froc(curve([], [], 3), 1.0, (1.0,)).sensitivity == {1.0: 0.0}
