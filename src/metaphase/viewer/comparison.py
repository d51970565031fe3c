"""Comparison of the figures under review with labels: found, missed and false."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from metaphase.figures import Label
from metaphase.radii import MATCH_RADIUS_UM
from metaphase.units import um_to_px
from metaphase.viewer.columns import Source
from metaphase.viewer.reviewedfigures import candidates, counted
from metaphase.viewer.slidecatalogue import CatalogueEntry
from metaphase.viewer.store import Decision


@dataclass(frozen=True, slots=True)
class Comparison:
    """Rows of labels that were ``missed``, and points [n, 2] that are ``false`` (in px)."""

    found: int
    missed: tuple[int, ...]
    false: tuple[tuple[float, float], ...]

    @property
    def f1(self) -> float | None:
        """F1 of the figures against the labels; None where there are neither."""
        total = 2 * self.found + len(self.missed) + len(self.false)
        return 2 * self.found / total if total else None

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "found": self.found,
            "missed": list(self.missed),
            "false": [list(point) for point in self.false],
            "f1": self.f1,
        }


def compare_with_labels(
    entry: CatalogueEntry, standing: Mapping[str, Decision], threshold: float, mpp: float
) -> Comparison:
    """Match the figures that count at a threshold with the mitotic labels of the slide.

    One to one within MATCH_RADIUS_UM, as ``metaphase evaluate`` does. Where the labels themselves
    are under review they are compared with the labels as they were opened.
    """
    from metaphase.evaluation.matching import match

    columns = entry.columns
    labels = (columns.source == Source.LABEL) & (columns.label == Label.MITOTIC.code)
    rows = np.flatnonzero(labels)
    figures = counted(entry, standing.values(), threshold).points
    scores = np.ones(len(figures))
    if candidates(entry) == Source.DETECTION:
        place = {
            tuple(point): score
            for point, score in zip(columns.points.tolist(), columns.score.tolist(), strict=True)
        }
        scores = np.array([place.get(tuple(point), 1.0) for point in figures.tolist()])
    radius = um_to_px(MATCH_RADIUS_UM, mpp)
    result = match(columns.points[rows], figures, scores, radius)
    missed = rows[result.point_of_truth < 0]
    false = figures[result.truth_of_point < 0]
    return Comparison(
        int((result.point_of_truth >= 0).sum()),
        tuple(int(row) for row in missed),
        tuple((float(x), float(y)) for x, y in false),
    )
