"""Calibration: whether detections with a score of 0.8 are correct in 80 % of the cases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

BINS = 10


@dataclass(frozen=True, slots=True)
class Calibration:
    """Reliability of the scores of all detections, independent of the threshold.

    For each bin of equal width: its lower ``edge``, the ``count`` of detections, their
    ``mean_score``, and ``right``, the share of true positives (None where the bin is empty).
    ``ece`` is the expected calibration error, the mean of ``|right - mean_score|`` weighted by the
    number of detections (Guo et al. 2017). ``brier`` is the mean squared difference of score and
    outcome. Both are None without detections.
    """

    edge: tuple[float, ...]
    count: tuple[int, ...]
    mean_score: tuple[float | None, ...]
    right: tuple[float | None, ...]
    ece: float | None
    brier: float | None


def calibration(scores: ArrayLike, right: ArrayLike, bins: int = BINS) -> Calibration:
    """Return the calibration of scores [n] in [0, 1] of true (1) and false (0) positives [n]."""
    score, hit = np.asarray(scores, np.float64), np.asarray(right, np.float64)
    which = np.minimum((score * bins).astype(np.int64), bins - 1)
    count = np.bincount(which, minlength=bins)
    some = np.maximum(count, 1)
    mean = np.bincount(which, score, bins) / some
    share = np.bincount(which, hit, bins) / some
    n = len(score)
    return Calibration(
        edge=tuple(float(i) / bins for i in range(bins)),
        count=tuple(int(c) for c in count),
        mean_score=tuple(float(v) if c else None for v, c in zip(mean, count, strict=True)),
        right=tuple(float(v) if c else None for v, c in zip(share, count, strict=True)),
        ece=float((np.abs(share - mean) * count).sum() / n) if n else None,
        brier=float(((score - hit) ** 2).mean()) if n else None,
    )
