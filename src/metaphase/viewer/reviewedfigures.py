"""The figures of a slide after review: what is up for review, and what counts now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from metaphase.counting.review import ReviewedFigures
from metaphase.figures import Label
from metaphase.viewer.columns import Source
from metaphase.viewer.reviewstate import verdict
from metaphase.viewer.slidecatalogue import CatalogueEntry
from metaphase.viewer.store import Decision


def candidates(entry: CatalogueEntry) -> Source:
    """Return which figures are up for review: the detections, or the labels where there are none.

    Labels and a second model's detections beside detections are shown for comparison only; they are
    not counted.
    """
    detected = (entry.columns.source == Source.DETECTION).any() or entry.model
    return Source.DETECTION if detected else Source.LABEL


BORDERLINE = 0.1
"""Candidates with a score at most this far below the threshold are reviewed too, after the rest."""


def default_threshold(entry: CatalogueEntry) -> float:
    """Return the threshold of the detector; labels have none and all of them count."""
    return entry.threshold if candidates(entry) == Source.DETECTION else 0.0


def undecided(
    entry: CatalogueEntry, standing: Iterable[str], threshold: float, margin: float = 0.0
) -> list[int]:
    """Return the rows of mitotic candidates from ``threshold - margin`` on without a decision.

    ``standing`` are the ids of the figures with a decision.
    """
    columns = entry.columns
    waiting = (columns.source == candidates(entry)) & (columns.label == Label.MITOTIC.code)
    waiting &= columns.score >= np.float32(threshold - margin)
    index = columns.index
    unique = np.zeros(len(columns), bool)  # of figures at one position, the first has the decision
    unique[list(index.values())] = True
    waiting &= unique
    waiting[[index[id_] for id_ in standing if id_ in index]] = False
    return [int(row) for row in np.flatnonzero(waiting)]


def counted(
    entry: CatalogueEntry,
    standing: Iterable[Decision],
    threshold: float,
    label: Label = Label.MITOTIC,
    atypical: Mapping[str, bool] | None = None,
) -> ReviewedFigures:
    """Return the figures of ``label`` that count at a threshold. Decisions override detections.

    Figures that a reader added, relabelled, or confirmed below the threshold are marked as added:
    the detector missed them at this threshold. ``metaphase count --review`` does the same.
    ``atypical`` are the readers' decisions of that by figure id; they override probabilities.
    """
    columns = entry.columns
    # Single precision, as on the page, so that both give the same count.
    reviewed = candidates(entry)
    keep = (columns.source == reviewed) & (columns.label == label.code)
    keep &= columns.score >= np.float32(threshold)
    certain, added = np.zeros(len(columns), bool), np.zeros(len(columns), bool)
    extra: list[tuple[float, float]] = []
    probability = columns.atypical.astype(np.float64)
    decided, of_extra = atypical or {}, []
    for figure, value in decided.items():
        if figure in columns.index:
            probability[columns.index[figure]] = float(value)
    for decision in standing:
        row = columns.index.get(decision.figure)
        if row is not None and columns.source[row] != reviewed:
            continue
        counts = verdict(decision) == label
        if row is not None:
            certain[row], added[row] = counts, counts and not keep[row]
            keep[row] = counts
        elif counts and decision.x_px is not None and decision.y_px is not None:
            extra.append((decision.x_px, decision.y_px))
            of_extra.append(float(decided.get(decision.figure, np.nan)))
    more = np.ones(len(extra), bool)
    return ReviewedFigures(
        np.concatenate([columns.points[keep], np.reshape(extra, (-1, 2))]),
        np.concatenate([certain[keep], more]),
        np.concatenate([added[keep], more]),
        np.concatenate([probability[keep], of_extra]),
    )
