"""The decisions on one image, and what they mean for its candidates."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from metaphase.arrays import FloatArray
from metaphase.boxes import as_points
from metaphase.evaluation.matching import match
from metaphase.figures import Label, points_of
from metaphase.labels.dataset import Case
from metaphase.learning.candidates import SlideCandidates
from metaphase.radii import MATCH_RADIUS_UM
from metaphase.units import um_to_px

_SAME_PX = 0.02
"""Positions are rounded to 0.01 px in files."""


@dataclass(frozen=True, slots=True, eq=False)
class SlideReview:
    """The decisions on an image.

    ``points`` [n, 2] in px and ``target`` [n]: 1 for a mitotic figure, 0 for what was rejected or
    is a hard negative. ``complete``: all of the image was reviewed, so that every other place is
    a negative. Otherwise, what has no decision is unlabelled.
    """

    image: Path
    points: FloatArray
    target: FloatArray
    complete: bool = False

    @classmethod
    def of_case(cls, case: Case) -> SlideReview:
        """Return the review that the labels of a case amount to."""
        figures = points_of(case.figures)
        others = points_of(case.figures, Label.HARD_NEGATIVE)
        target = np.concatenate([np.ones(len(figures)), np.zeros(len(others))])
        points = np.concatenate([figures, others])
        return cls(Path(case.image or case.id), points, target, case.labelled)

    def __len__(self) -> int:
        return len(self.target)


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """Targets [n] of the candidates of an image, NaN where undecided, and figures [m, 2] without a
    candidate (px)."""

    target: FloatArray
    missed: FloatArray

    @classmethod
    def unknown(cls, candidates: SlideCandidates) -> Targets:
        """Return the targets of an image without decisions."""
        return cls(np.full(len(candidates), np.nan), as_points([]))


def targets_of(candidates: SlideCandidates, review: SlideReview, mpp: float) -> Targets:
    """Return what a review says about the candidates of its image.

    A decision at the position of a candidate is about that candidate. A figure elsewhere, which a
    reader added, is matched with the nearest candidate within the matching radius, if any.
    """
    target = np.full(len(candidates), np.nan)
    points = as_points(review.points)
    row = _rows_at(candidates.points, points)
    target[row[row >= 0]] = review.target[row >= 0]
    added = points[(row < 0) & (review.target > 0.5)]
    rejected = points[(row < 0) & (review.target <= 0.5)]
    radius = um_to_px(MATCH_RADIUS_UM, mpp)
    undecided = np.flatnonzero(np.isnan(target))
    missed = added
    if len(added) and len(undecided):
        near = match(added, candidates.points[undecided], candidates.score[undecided], radius)
        found = near.point_of_truth
        target[undecided[found[found >= 0]]] = 1.0
        missed = added[found < 0]
    if len(rejected):
        undecided = np.flatnonzero(np.isnan(target))
        near = match(rejected, candidates.points[undecided], candidates.score[undecided], radius)
        found = near.point_of_truth
        target[undecided[found[found >= 0]]] = 0.0
    if review.complete:
        target[np.isnan(target)] = 0.0
    return Targets(target, missed)


def find_review(reviews: Iterable[SlideReview], image: Path) -> SlideReview | None:
    """Return the review of an image: of the same file, else of a file of the same name."""
    named = [review for review in reviews if review.image.name == image.name]
    same = [review for review in named if review.image.absolute() == image.absolute()]
    return next(iter(same or (named if len(named) == 1 else [])), None)


def _rows_at(candidates: FloatArray, points: FloatArray) -> np.ndarray:
    """Return the candidate at each point, -1 where there is none."""
    if not len(candidates) or not len(points):
        return np.full(len(points), -1)
    from scipy.spatial import cKDTree

    distance, row = cKDTree(candidates).query(points, distance_upper_bound=_SAME_PX)
    return np.where(np.isfinite(distance), row, -1)
