import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaphase.evaluation.matching import RULES, Rule, gains, match

ONE_TO_ONE = [rule for rule in RULES if rule != "many-to-many"]


def by_the_book(truth, points, radius):
    """The contests' rule from its description alone: no trees, no arrays, no sharing of code."""
    used, taken = set(), []
    for tx, ty in truth:
        best = None
        for index, (px, py) in enumerate(points):
            squared = (px - tx) ** 2 + (py - ty) ** 2
            if index in used or squared > radius**2:
                continue
            if best is None or squared < best[0]:
                best = (squared, index)
        if best is None:
            taken.append(-1)
        else:
            used.add(best[1])
            taken.append(best[1])
    return taken


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


def test_midog_agrees_with_an_independent_reading_on_10000_random_cases():
    rng = np.random.default_rng(20210)
    for number in range(10_000):
        truth, points, scores, radius = random_case(rng)
        taken = match(truth, points, scores, radius).point_of_truth
        assert taken.tolist() == by_the_book(truth, points, radius), number


def best_scores_first(truth, points, scores, radius):
    """PASCAL VOC's convention from its description alone, with distance for overlap."""
    owner = [-1] * len(truth)
    for index in sorted(range(len(points)), key=lambda i: (-scores[i], i)):
        free = [t for t in range(len(truth)) if owner[t] < 0]
        squared = {t: sum((truth[t][k] - points[index][k]) ** 2 for k in (0, 1)) for t in free}
        near = [t for t in free if squared[t] <= radius**2]
        if near:
            owner[min(near, key=lambda t: squared[t])] = index
    return owner


def test_greedy_agrees_with_an_independent_reading_on_random_cases():
    rng = np.random.default_rng(2010)
    for number in range(2_000):
        truth, points, scores, radius = random_case(rng)
        taken = match(truth, points, scores, radius, "greedy").point_of_truth
        assert taken.tolist() == best_scores_first(truth, points, scores, radius), number


def test_midog_as_evalutils_tests_itself():
    truth = [(10.0, 10.0), (5.0, 5.0), (2.0, 2.0), (11.2, 11.2)]
    near = 2.0 + 0.5**0.5 - 1e-12
    points = [(0, 0), (10.5, 10.5), (1.0, 2.0), (near, near), (30, 30)]
    found = match(truth, points, np.ones(5), 1.0)
    assert (found.tp, found.fp, found.fn) == (2, 3, 2)
    one = match([(0, 0), (0, 0.5), (0, -0.5)], [(0, 0)], [1], 1.0)
    assert (one.tp, one.fp, one.fn) == (1, 0, 2)
    two = match([(0, 0), (0, 0.5), (0, -0.5)], [(0, 0), (0, 0)], [1, 1], 1.0)
    assert (two.tp, two.fp, two.fn) == (2, 0, 1)


def test_midog_depends_on_the_order_of_the_truths_and_optimal_does_not():
    points, scores = [(5, 0), (-2, 0)], [0.9, 0.8]
    greedy_truth, modest_truth = (0, 0), (-9, 0)
    first = [greedy_truth, modest_truth]
    last = [modest_truth, greedy_truth]
    assert match(first, points, scores, 7.5).tp == 1
    assert match(last, points, scores, 7.5).tp == 2
    assert match(first, points, scores, 7.5, "optimal").tp == 2
    assert match(last, points, scores, 7.5, "optimal").tp == 2


def test_greedy_matches_the_best_score_first():
    truth, points = [(0, 0)], [(1, 0), (5, 0)]
    assert match(truth, points, [0.2, 0.9], 10, "greedy").point_of_truth.tolist() == [1]
    assert match(truth, points, [0.2, 0.9], 10, "midog").point_of_truth.tolist() == [0]
    assert match(truth, points, [0.9, 0.9], 10, "greedy").point_of_truth.tolist() == [0]


def test_many_to_many_counts_truths_found_and_detections_alone():
    truth = [(0, 0), (4, 0), (100, 0)]
    points = [(2, 0), (1, 0), (50, 0)]
    found = match(truth, points, [0.9, 0.8, 0.7], 5, "many-to-many")
    assert (found.tp, found.fp, found.fn) == (2, 1, 1)
    assert found.point_of_truth.tolist() == [1, 0, -1]
    assert found.truth_of_point.tolist() == [0, 0, -1]


@pytest.mark.parametrize("rule", RULES)
def test_the_radius_is_inclusive(rule):
    assert match([(0, 0)], [(3, 4)], [1], 5, rule).tp == 1
    assert match([(0, 0)], [(3, 4)], [1], np.nextafter(5, 0), rule).tp == 0


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("n", "m"), [(0, 0), (0, 3), (3, 0)])
def test_nothing_on_one_side(rule, n, m):
    truth, points = np.zeros((n, 2)), np.zeros((m, 2))
    found = match(truth, points, np.ones(m), 5, rule)
    assert (found.tp, found.fp, found.fn) == (0, m, n)
    added = gains(truth, points, np.ones(m), 5, rule)
    assert (added.tp.sum(), added.fp.sum()) == (0, m)


@pytest.mark.parametrize("rule", RULES)
def test_gains_are_the_counts_at_every_threshold(rule: Rule):
    rng = np.random.default_rng(11)
    for _ in range(400):
        truth, points, scores, radius = random_case(rng)
        added = gains(truth, points, scores, radius, rule)
        for threshold in np.unique(scores):
            kept = scores >= threshold
            anew = match(truth, points[kept], scores[kept], radius, rule)
            assert (added.tp[kept].sum(), added.fp[kept].sum()) == (anew.tp, anew.fp)


@pytest.mark.parametrize("rule", RULES)
def test_the_tree_finds_what_direct_comparison_finds(rule: Rule, monkeypatch):
    from metaphase.evaluation import matching

    rng = np.random.default_rng(5)
    truth = rng.integers(0, 300, (90, 2)).astype(float)
    points = np.concatenate([truth[:40], rng.integers(0, 300, (80, 2))])
    scores = rng.uniform(size=120)
    by_tree = match(truth, points, scores, 25, rule)
    monkeypatch.setattr(matching, "_FEW", 10**9)
    directly = match(truth, points, scores, 25, rule)
    assert by_tree.point_of_truth.tolist() == directly.point_of_truth.tolist()
    assert by_tree.truth_of_point.tolist() == directly.truth_of_point.tolist()


coordinate = st.integers(0, 30).map(float)


place = st.lists(st.tuples(coordinate, coordinate), max_size=10)


@given(truth=place, points=place, radius=st.integers(1, 12), seed=st.integers(0, 99))
@settings(max_examples=150, deadline=None)
def test_one_to_one_rules_pair_each_at_most_once_within_the_radius(truth, points, radius, seed):
    scores = np.random.default_rng(seed).integers(0, 4, len(points)) / 4
    for rule in ONE_TO_ONE:
        found = match(truth, points, scores, radius, rule)
        taken = found.point_of_truth[found.point_of_truth >= 0]
        assert len(set(taken.tolist())) == len(taken)
        assert found.tp + found.fp == len(points)
        assert found.tp + found.fn == len(truth)
        for t, p in enumerate(found.point_of_truth):
            if p >= 0:
                assert found.truth_of_point[p] == t
                assert np.hypot(*np.subtract(truth[t], points[p])) <= radius + 1e-9
        assert found.tp <= match(truth, points, scores, radius, "optimal").tp


@given(truth=place, points=place, radius=st.integers(1, 12), seed=st.integers(0, 99))
@settings(max_examples=100, deadline=None)
def test_order_matters_to_midog_alone(truth, points, radius, seed):
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(truth))
    shuffled = np.reshape(np.asarray(truth, float), (-1, 2))[order]
    scores = rng.permutation(len(points)) / max(len(points), 1)  # all different
    for rule in ("optimal", "many-to-many"):
        before = match(truth, points, scores, radius, rule)
        after = match(shuffled, points, scores, radius, rule)
        assert (before.tp, before.fp, before.fn) == (after.tp, after.fp, after.fn)


def test_units_do_not_matter():
    rng = np.random.default_rng(9)
    truth, points = rng.uniform(0, 100, (20, 2)), rng.uniform(0, 100, (30, 2))
    scores = rng.uniform(size=30)
    for rule in RULES:
        in_px = match(truth, points, scores, 20.0, rule)
        in_um = match(truth * 0.25, points * 0.25, scores, 5.0, rule)
        assert in_px.point_of_truth.tolist() == in_um.point_of_truth.tolist()


def test_wrong_arguments():
    with pytest.raises(ValueError, match="many-to-many"):
        match([], [], [], 5, "nearest")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="positive"):
        match([], [], [], 0)
    with pytest.raises(ValueError, match="2 scores for 1 detections"):
        match([(0, 0)], [(0, 0)], [1, 1], 5)
