"""Matching of detections with labelled figures: the same code for tuning and for scoring.

A detection and a figure may be matched if their distance is at most the radius (inclusive; squared
distances are compared), in any unit that points and radius share. Four rules choose the pairs:

``midog``
    The rule of the challenges. Each figure, in file order, is matched with the nearest detection
    that no earlier figure was matched with. The evaluation containers of MIDOG 2021/2022 and of
    MIDOG 2025 track 1 (DeepMicroscopy/MIDOG_evaluation_docker, MIDOG25_T1_evaluation_docker) keep
    the points named "mitotic figure" and call ``evalutils.scorers.score_detection(radius=7.5e-3)``
    with millimetres:
    a BallTree over the detections, ``query_radius`` sorted from near to far (inclusive), and for
    each figure the first hit that is not used yet; a case without figures has only false positives,
    one without detections only false negatives; tp, fp and fn are summed over cases. **The result
    depends on the order of the figures**: an earlier figure can use the only detection near a later
    one. It does not depend on the scores. evalutils leaves equal distances to the sort; here the
    lower index (the higher score, in ``Detections``) wins. evalutils before 0.3 counted differently
    (every detection near a figure was used up); the challenges used the later rule.
``greedy``
    Each detection, by falling score (ties: lower index), is matched with the nearest unmatched
    figure. The convention of PASCAL VOC (Everingham et al. 2010), with distance instead of overlap.
``optimal``
    The largest one-to-one set of pairs, and among those the one of least total distance. It does
    not depend on any order, and no one-to-one rule gives more true positives.
``many-to-many``
    As in older papers: a figure is detected if any detection is near it, a detection is false if no
    figure is near it. tp counts figures, so tp + fp can differ from the number of detections.

Under every rule, adding a detection of lower score never lowers tp (see ``matchers``). ``gains``
uses this to give the counts at *every* threshold in one pass, exactly as if the detections had been
matched again at each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from metaphase.arrays import FloatArray, IntArray
from metaphase.boxes import as_points
from metaphase.evaluation.matchers import MATCHERS, NearPairs

Rule = Literal["midog", "greedy", "optimal", "many-to-many"]
RULES: tuple[Rule, ...] = get_args(Rule)


_FEW = 4096  # pairs that are compared faster directly than through a tree
_SLACK = 1 + 1e-9  # of the radius for the tree; the exact comparison follows


@dataclass(frozen=True, slots=True)
class Matching:
    """The pairs: ``point_of_truth`` [n] and ``truth_of_point`` [m], -1 where there is no partner.

    Under ``many-to-many`` they hold the nearest, and need not be each other's inverse.
    """

    point_of_truth: IntArray
    truth_of_point: IntArray

    @property
    def tp(self) -> int:
        """True positives: figures with a detection."""
        return int((self.point_of_truth >= 0).sum())

    @property
    def fp(self) -> int:
        """False positives: detections without a figure."""
        return int((self.truth_of_point < 0).sum())

    @property
    def fn(self) -> int:
        """False negatives: figures without a detection."""
        return int((self.point_of_truth < 0).sum())


@dataclass(frozen=True, slots=True)
class Gains:
    """What each detection adds to those of higher score (ties: of lower index).

    ``tp`` [m] and ``fp`` [m] are the true and false positives that each detection adds. The counts
    at a threshold are the sums over the detections with at least that score.
    """

    tp: IntArray
    fp: IntArray


def match(
    truth: ArrayLike,
    points: ArrayLike,
    scores: ArrayLike,
    radius: float,
    rule: Rule = "midog",
) -> Matching:
    """Match figures ``truth`` [n, 2] with detections ``points`` [m, 2] of ``scores`` [m].

    Positions and radius are in one unit, any. Raises ValueError for an unknown rule, a radius that
    is not positive, or scores of another length.
    """
    near = _near_pairs(truth, points, scores, radius, rule)
    if rule == "many-to-many":
        return Matching(_nearest(near.truth, near.point, near, near.n), _nearest_truths(near))
    if rule == "optimal":
        from metaphase.evaluation.assignment import least_distance

        pairs = least_distance(near.truth, near.point, near.distance, radius)
        return _matching(near, pairs)
    matcher = MATCHERS[rule](near)
    for point in near.order:
        matcher.add(point)
    return _matching(near, [(t, p) for t, p in enumerate(matcher.point_of_truth) if p >= 0])


def gains(
    truth: ArrayLike,
    points: ArrayLike,
    scores: ArrayLike,
    radius: float,
    rule: Rule = "midog",
) -> Gains:
    """Return what each detection adds under a rule; arguments as for ``match``."""
    near = _near_pairs(truth, points, scores, radius, rule)
    tp = np.zeros(near.m, np.int64)
    if rule == "many-to-many":
        fp = np.ones(near.m, np.int64)
        fp[near.point] = 0
        rank = np.empty(near.m, np.int64)
        rank[near.ranking] = np.arange(near.m)
        first = np.full(near.n, near.m, np.int64)
        np.minimum.at(first, near.truth, rank[near.point])
        np.add.at(tp, near.ranking[first[first < near.m]], 1)
        return Gains(tp, fp)
    matcher = MATCHERS[rule](near)
    for point in near.order:
        tp[point] = matcher.add(point)
    return Gains(tp, 1 - tp)


def _near_pairs(
    truth: ArrayLike, points: ArrayLike, scores: ArrayLike, radius: float, rule: str
) -> NearPairs:
    if rule not in RULES:
        raise ValueError(f"a rule is one of {', '.join(RULES)}, not {rule!r}")
    if not radius > 0:
        raise ValueError(f"the radius must be positive, not {radius}")
    t, p = as_points(truth), as_points(points)
    s = np.asarray(scores, np.float64).reshape(-1)
    if len(s) != len(p):
        raise ValueError(f"{len(s)} scores for {len(p)} detections")
    at, of, squared = _pairs(t, p, radius)
    ranking = np.argsort(-s, kind="stable")
    is_near = np.zeros(len(p), bool)
    is_near[of] = True
    order = ranking[is_near[ranking]].tolist()
    return NearPairs(len(t), len(p), at, of, np.sqrt(squared), ranking, order)


def _pairs(t: FloatArray, p: FloatArray, radius: float) -> tuple[IntArray, IntArray, FloatArray]:
    """Return figure, point and squared distance of all pairs within the radius, sorted by point."""
    if len(t) * len(p) <= _FEW:
        of, at = (index.reshape(-1) for index in np.indices((len(p), len(t))))
    else:
        from scipy.spatial import cKDTree

        trees = [cKDTree(x, balanced_tree=False, compact_nodes=False) for x in (p, t)]
        near = trees[0].sparse_distance_matrix(trees[1], radius * _SLACK, output_type="ndarray")
        of, at = near["i"].astype(np.int64), near["j"].astype(np.int64)
    away = p[of] - t[at]
    squared = np.asarray(away[:, 0] * away[:, 0] + away[:, 1] * away[:, 1])
    keep = np.flatnonzero(squared <= radius * radius)
    keep = keep[np.lexsort((at[keep], of[keep]))]
    return at[keep], of[keep], squared[keep]


def _nearest(keys: IntArray, values: IntArray, near: NearPairs, size: int) -> IntArray:
    """Return for each key its nearest value (ties: the lower one), -1 where it has none."""
    best = np.full(size, -1, np.int64)
    order = np.lexsort((values, near.distance, keys))
    unique, first = np.unique(keys[order], return_index=True)
    best[unique] = values[order][first]
    return best


def _nearest_truths(near: NearPairs) -> IntArray:
    return _nearest(near.point, near.truth, near, near.m)


def _matching(near: NearPairs, pairs: list[tuple[int, int]]) -> Matching:
    point_of_truth = np.full(near.n, -1, np.int64)
    truth_of_point = np.full(near.m, -1, np.int64)
    for truth, point in pairs:
        point_of_truth[truth] = point
        truth_of_point[point] = truth
    return Matching(point_of_truth, truth_of_point)
