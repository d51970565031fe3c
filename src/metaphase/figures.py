"""Figures that people labelled (Figure) and figures that a detector found (Detections)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from metaphase.arrays import BoolArray, CodeArray, FloatArray
from metaphase.provenance import Provenance
from metaphase.values import MAX_POSITION_PX

POSITION_DECIMALS = 2
SCORE_DECIMALS = 6
ATYPICAL_DECIMALS = 4


class Label(StrEnum):
    """Mitotic figure or hard negative (a look-alike; "non-mitotic" in the MIDOG challenges)."""

    MITOTIC = "mitotic figure"
    HARD_NEGATIVE = "hard negative"

    @property
    def code(self) -> int:
        """The integer for this label in arrays: 0 mitotic figure, 1 hard negative."""
        return LABELS.index(self)


LABELS: tuple[Label, ...] = tuple(Label)


@dataclass(frozen=True, slots=True)
class Figure:
    """One labelled figure of an image.

    ``x_px, y_px`` is its position in full-resolution pixels, origin top-left: the centre of its box
    unless the file gives another point. ``box`` is x1, y1, x2, y2 as in the file; it may cross the
    border of the image. It is None where the file has points only. ``confidence`` is the share of
    readers who called it a mitotic figure, in [0, 1]. It is None where the file does not say.
    ``atypical`` is the share of readers who called a mitotic figure atypical, or 0 or 1 by their
    majority. It is None where the file does not say.
    """

    id: str
    x_px: float
    y_px: float
    label: Label = Label.MITOTIC
    box: tuple[float, float, float, float] | None = None
    confidence: float | None = None
    atypical: float | None = None


def points_of(figures: Iterable[Figure], label: Label | None = Label.MITOTIC) -> FloatArray:
    """Return the points [n, 2] of the figures with a label (None: any label), in their order."""
    rows = [(f.x_px, f.y_px) for f in figures if label is None or f.label == label]
    return np.asarray(rows, dtype=np.float64).reshape(-1, 2)


class Detections:
    """The detections of one slide: ``x_px, y_px, score, label`` [n each], and their provenance.

    Positions are full-resolution pixels, scores are in [0, 1], labels are codes (``Label.code``).
    ``atypical`` [n] is the probability that a mitotic figure is atypical, NaN where it was not
    computed (below the threshold, other labels). It is None where no row has one. Rows are sorted
    by falling score, then by y and x, so that equal sets give equal arrays. The threshold of the
    provenance is the operating point. Detections below it are kept for curves;
    ``above_threshold()`` returns those that count. Raises ValueError for wrong values.
    """

    __slots__ = ("atypical", "label", "provenance", "score", "x_px", "y_px")

    def __init__(
        self,
        x_px: ArrayLike,
        y_px: ArrayLike,
        score: ArrayLike,
        label: ArrayLike | None = None,
        *,
        provenance: Provenance,
        atypical: ArrayLike | None = None,
    ) -> None:
        x = np.atleast_1d(np.asarray(x_px, dtype=np.float64))
        y = np.atleast_1d(np.asarray(y_px, dtype=np.float64))
        s = np.atleast_1d(np.asarray(score, dtype=np.float64))
        code = (
            np.zeros(len(x), np.int8)
            if label is None
            else np.atleast_1d(np.asarray(label, dtype=np.int8))
        )
        if not (x.ndim == 1 and x.shape == y.shape == s.shape == code.shape):
            shapes = x.shape, y.shape, s.shape, code.shape
            raise ValueError(f"x_px, y_px, score and label must be vectors of one length: {shapes}")
        if not ((np.abs(x) <= MAX_POSITION_PX) & (np.abs(y) <= MAX_POSITION_PX)).all():
            raise ValueError("positions must be finite, and not farther than any image")
        if not ((s >= 0) & (s <= 1)).all():
            raise ValueError("scores must lie in [0, 1]")
        if not ((code >= 0) & (code < len(LABELS))).all():
            raise ValueError(f"label codes must be in 0..{len(LABELS) - 1}")
        probability = _atypical(atypical, len(x))
        # Sorting takes most of the time with many rows, which are usually sorted already.
        ordered = _is_ordered(x, y, s, code)
        order: Any = slice(None) if ordered else np.lexsort((code, x, y, -s))
        self.x_px: FloatArray = x[order].copy()
        self.y_px: FloatArray = y[order].copy()
        self.score: FloatArray = s[order].copy()
        self.label: CodeArray = code[order].copy()
        self.atypical: FloatArray | None = None if probability is None else probability[order]
        self.provenance = provenance

    @classmethod
    def empty(cls, provenance: Provenance) -> Detections:
        """Return a result without any detection."""
        return cls([], [], [], provenance=provenance)

    def __len__(self) -> int:
        return len(self.x_px)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Detections)
            and np.array_equal(self.x_px, other.x_px)
            and np.array_equal(self.y_px, other.y_px)
            and np.array_equal(self.score, other.score)
            and np.array_equal(self.label, other.label)
            and np.array_equal(self.atypical_or_nan, other.atypical_or_nan, equal_nan=True)
            and self.provenance == other.provenance
        )

    __hash__ = None  # type: ignore[assignment]  # arrays can be written to

    def __repr__(self) -> str:
        return f"Detections({len(self)} of {self.provenance.image!r})"

    @property
    def points(self) -> FloatArray:
        """The positions [n, 2]."""
        return np.stack([self.x_px, self.y_px], axis=1)

    @property
    def labels(self) -> list[Label]:
        """The labels as words."""
        return [LABELS[code] for code in self.label]

    @property
    def atypical_or_nan(self) -> FloatArray:
        """The probabilities of atypical [n], NaN where there are none."""
        return np.full(len(self), np.nan) if self.atypical is None else self.atypical

    def with_score(self, score: ArrayLike) -> Detections:
        """Return the same rows with other scores [n], sorted by them."""
        return Detections(
            self.x_px,
            self.y_px,
            score,
            self.label,
            provenance=self.provenance,
            atypical=self.atypical,
        )

    def with_atypical(self, atypical: ArrayLike | None) -> Detections:
        """Return the same rows with other probabilities of atypical [n]."""
        return Detections(
            self.x_px,
            self.y_px,
            self.score,
            self.label,
            provenance=self.provenance,
            atypical=atypical,
        )

    def where(self, keep: BoolArray | Sequence[bool]) -> Detections:
        """Return the detections for which the mask [n] is true."""
        mask = np.asarray(keep, dtype=bool)
        if mask.shape != self.x_px.shape:
            raise ValueError(f"a mask of {mask.shape} for {len(self)} detections")
        return Detections(
            self.x_px[mask],
            self.y_px[mask],
            self.score[mask],
            self.label[mask],
            provenance=self.provenance,
            atypical=None if self.atypical is None else self.atypical[mask],
        )

    def with_label(self, label: Label = Label.MITOTIC) -> Detections:
        """Return those with a label."""
        return self.where(self.label == label.code)

    def above(self, threshold: float) -> Detections:
        """Return those with ``score >= threshold``."""
        return self.where(self.score >= threshold)

    def above_threshold(self) -> Detections:
        """Return those at or above the threshold of the provenance."""
        return self.above(self.provenance.threshold)

    def rounded(self) -> Detections:
        """Return them at the precision of files: positions to 0.01 px, scores to 1e-6."""
        return Detections(
            np.round(self.x_px, POSITION_DECIMALS),
            np.round(self.y_px, POSITION_DECIMALS),
            np.round(self.score, SCORE_DECIMALS),
            self.label,
            provenance=self.provenance,
            atypical=None if self.atypical is None else np.round(self.atypical, ATYPICAL_DECIMALS),
        )

    def with_provenance(self, **changes: Any) -> Detections:
        """Return the same rows with some fields of the provenance replaced."""
        return Detections(
            self.x_px,
            self.y_px,
            self.score,
            self.label,
            provenance=replace(self.provenance, **changes),
            atypical=self.atypical,
        )

    def with_parameters(self, **changes: Any) -> Detections:
        """Return the same rows with some parameters of the provenance replaced or added."""
        parameters = self.provenance.parameters.updated(**changes)
        return self.with_provenance(parameters=parameters)


def _atypical(values: ArrayLike | None, n: int) -> FloatArray | None:
    """Return probabilities as a vector of their own, None where all are NaN."""
    if values is None:
        return None
    result = np.array(values, dtype=np.float64, ndmin=1)
    if result.shape != (n,):
        raise ValueError(f"atypical has the shape {result.shape} for {n} detections")
    known = np.isfinite(result)
    if not (known | np.isnan(result)).all() or not ((result >= 0) & (result <= 1))[known].all():
        raise ValueError("probabilities of atypical must lie in [0, 1] or be NaN")
    return result if known.any() else None


def _is_ordered(x: FloatArray, y: FloatArray, score: FloatArray, code: CodeArray) -> bool:
    """Return whether rows are sorted by falling score, then by y, x and code."""
    keys = (-score, y, x, code)
    undecided = np.ones(max(len(x) - 1, 0), dtype=bool)
    for key in keys:
        before, after = key[:-1], key[1:]
        if (undecided & (before > after)).any():
            return False
        undecided &= before == after
    return True
