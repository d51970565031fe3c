"""Comparison of the figures under review with a reference: labels, or a second model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from metaphase.arrays import FloatArray, IntArray
from metaphase.figures import Label
from metaphase.radii import MATCH_RADIUS_UM
from metaphase.units import um_to_px
from metaphase.viewer.columns import Source
from metaphase.viewer.reference import Reference
from metaphase.viewer.reviewedfigures import candidates, counted, default_threshold
from metaphase.viewer.slidecatalogue import CatalogueEntry
from metaphase.viewer.store import Decision

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was matched one to one, and what only one side has.

    The first side is what is under review, at ``threshold``; the second is the reference. Figures
    of the first side are points in px, those of the second are rows of the slide's columns.
    ``both`` holds the matched pairs. With labels these are found, ``only_first`` is false and
    ``only_second`` is missed.
    """

    reference: Reference
    threshold: float
    both: tuple[tuple[Point, int], ...]
    only_first: tuple[Point, ...]
    only_second: tuple[int, ...]

    @property
    def f1(self) -> float | None:
        """2 both / (first + second), which is symmetric; None where neither side has a figure."""
        differ = len(self.only_first) + len(self.only_second)
        total = 2 * len(self.both) + differ
        return 2 * len(self.both) / total if total else None

    @property
    def differences(self) -> int:
        """Number of figures that only one side has."""
        return len(self.only_first) + len(self.only_second)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "reference": self.reference.key,
            "threshold": self.threshold,
            "both": [[*point, row] for point, row in self.both],
            "only_first": [list(point) for point in self.only_first],
            "only_second": list(self.only_second),
            "f1": self.f1,
        }


def references(entry: CatalogueEntry) -> tuple[Reference, ...]:
    """Return what the figures under review can be compared with: a second model first."""
    second = () if entry.second is None else (entry.second,)
    labelled = entry.case is not None and entry.case.labelled
    if candidates(entry) == Source.DETECTION and labelled:
        name = entry.second.against if entry.second else entry.model or "detections"
        return (*second, Reference(Source.LABEL, "labels", name))
    return second


def is_frozen(entry: CatalogueEntry, reference: Reference) -> bool:
    """Return whether a comparison is of two models: at their own thresholds, without decisions."""
    return reference.source == Source.SECOND and candidates(entry) == Source.DETECTION


def compare(
    entry: CatalogueEntry,
    reference: Reference,
    standing: Iterable[Decision],
    threshold: float,
    mpp: float,
) -> Comparison:
    """Match the figures under review with the mitotic figures of a reference.

    One to one within MATCH_RADIUS_UM. With labels, the figures that count at ``threshold`` after
    the decisions ``standing`` are matched as ``metaphase evaluate`` does. Two models are compared
    as they were computed: each at its own threshold, without decisions, by the largest set of
    pairs, so that neither side is preferred.
    """
    from metaphase.evaluation.matching import match

    frozen = is_frozen(entry, reference)
    if frozen:
        standing, threshold = (), default_threshold(entry)
    columns = entry.columns
    rows = _rows(entry, reference)
    figures = counted(entry, standing, threshold).points
    result = match(
        columns.points[rows],
        figures,
        _scores(entry, figures),
        um_to_px(MATCH_RADIUS_UM, reference.mpp or mpp),
        "midog" if reference.source == Source.LABEL else "optimal",
    )
    points = [(float(x), float(y)) for x, y in figures]
    pairs = enumerate(result.point_of_truth.tolist())
    return Comparison(
        reference,
        threshold,
        tuple((points[point], int(rows[truth])) for truth, point in pairs if point >= 0),
        tuple(points[i] for i in np.flatnonzero(result.truth_of_point < 0)),
        tuple(int(row) for row in rows[result.point_of_truth < 0]),
    )


def _rows(entry: CatalogueEntry, reference: Reference) -> IntArray:
    """Return the rows of the reference that count."""
    columns = entry.columns
    keep = (columns.source == reference.source) & (columns.label == Label.MITOTIC.code)
    keep &= columns.score >= np.float32(reference.threshold)
    return np.flatnonzero(keep)


def _scores(entry: CatalogueEntry, figures: FloatArray) -> FloatArray:
    """Return the scores of figures [n, 2]; figures that a reader added, and labels, have 1."""
    columns = entry.columns
    if candidates(entry) != Source.DETECTION:
        return np.ones(len(figures))
    own = columns.source == Source.DETECTION
    points, scores = columns.points[own].tolist(), columns.score[own].tolist()
    place = {tuple(point): score for point, score in zip(points, scores, strict=True)}
    return np.array([place.get(tuple(point), 1.0) for point in figures.tolist()])
