"""F1, precision, recall, average precision and FROC, from counts over all cases.

A ratio of 0/0 is undefined: None here and "-" in tables, never 0 or 1. (The containers of the MIDOG
challenges add 1e-6 to both sides of F1, so that an empty case scores 1.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from metaphase.arrays import FloatArray, IntArray
from metaphase.evaluation.matching import Gains

FROC_RATES = (0.5, 1.0, 2.0, 5.0, 10.0)
"""False positives per mm2 at which sensitivity is reported."""


def ratio(part: float, whole: float) -> float | None:
    """Return ``part / whole``, or None where ``whole`` is 0."""
    return float(part) / float(whole) if whole else None


@dataclass(frozen=True, slots=True)
class Counts:
    """True positives, false positives and false negatives; they add up over cases."""

    tp: int = 0
    fp: int = 0
    fn: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)

    @property
    def precision(self) -> float | None:
        """tp / (tp + fp); None where nothing was detected."""
        return ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float | None:
        """tp / (tp + fn); None without labelled figures."""
        return ratio(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> float | None:
        """2 tp / (2 tp + fp + fn); None without figures and detections."""
        return ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)


@dataclass(frozen=True, slots=True)
class Curve:
    """Counts at every distinct score, by falling threshold [k each], and the number of truths.

    The counts at ``threshold[i]`` are those with ``score >= threshold[i]``.
    """

    threshold: FloatArray
    tp: IntArray
    fp: IntArray
    truths: int

    @property
    def precision(self) -> FloatArray:
        """tp / (tp + fp) [k]; every threshold has at least one detection."""
        return np.asarray(self.tp / np.maximum(self.tp + self.fp, 1))

    @property
    def recall(self) -> FloatArray:
        """tp / truths [k]; nan where there are no truths."""
        return np.asarray(self.tp / (self.truths or np.nan))

    @property
    def f1(self) -> FloatArray:
        """2 tp / (tp + fp + truths) [k]."""
        return np.asarray(2 * self.tp / (self.tp + self.fp + self.truths))

    def at(self, threshold: float) -> Counts:
        """Return the counts of all detections with ``score >= threshold``."""
        k = int(np.searchsorted(-self.threshold, -threshold, side="right"))
        tp, fp = (int(self.tp[k - 1]), int(self.fp[k - 1])) if k else (0, 0)
        return Counts(tp, fp, self.truths - tp)


def pooled_curve(scores: Sequence[FloatArray], gains: Sequence[Gains], truths: int) -> Curve:
    """Return the curve over all cases from each case's scores and gains."""
    if not scores:
        return Curve(np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.int64), truths)
    score = np.concatenate(scores)
    order = np.argsort(-score, kind="stable")
    score = score[order]
    tp = np.cumsum(np.concatenate([g.tp for g in gains])[order])
    fp = np.cumsum(np.concatenate([g.fp for g in gains])[order])
    last = np.flatnonzero(np.diff(score, append=-1.0))  # equal scores enter together
    return Curve(score[last], tp[last], fp[last], truths)


def average_precision(curve: Curve) -> float | None:
    """Return the area under the interpolated precision-recall curve; None without truths.

    The precision at a recall is the highest precision at that recall or a higher one; the area is
    summed over every step of recall (as in PASCAL VOC since 2010). There is no extrapolation:
    recall that no threshold reaches adds nothing, so that detections with a high minimum score
    have a lower AP.
    """
    if not curve.truths:
        return None
    if not len(curve.tp):
        return 0.0
    envelope = np.maximum.accumulate(curve.precision[::-1])[::-1]
    return float((np.diff(curve.recall, prepend=0.0) * envelope).sum())


@dataclass(frozen=True, slots=True)
class Froc:
    """Free-response operating characteristic.

    ``sensitivity`` maps a rate of false positives per mm2 to the best recall of any threshold that
    does not exceed it. ``reached`` says whether the detections have that many false positives; if
    not, a lower minimum score could give a higher sensitivity. Both are empty without area or
    labelled figures.
    """

    area_mm2: float
    sensitivity: dict[float, float] = field(default_factory=dict)
    reached: dict[float, bool] = field(default_factory=dict)


def froc(curve: Curve, area_mm2: float, rates: Sequence[float] = FROC_RATES) -> Froc:
    """Return the sensitivity at fixed rates of false positives per mm2 of analysed image."""
    if not curve.truths or not area_mm2 > 0:
        return Froc(area_mm2)
    rate = curve.fp / area_mm2
    sensitivity, reached = {}, {}
    for allowed in rates:
        k = int(np.searchsorted(rate, allowed, side="right"))
        sensitivity[allowed] = float(curve.recall[k - 1]) if k else 0.0
        reached[allowed] = bool(k < len(rate))
    return Froc(area_mm2, sensitivity, reached)
