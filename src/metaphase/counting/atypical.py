"""How many of the counted mitotic figures are atypical, with an interval.

The model. Figure i is atypical with the probability p_i that its network gives, calibrated on cases
that were left out of the training. Cases differ: all log-odds of a slide are shifted by one number,
drawn from a normal distribution with the standard deviation ``spread`` that was measured between
the left-out cases. A reader's decision replaces the probability by 0 or 1. The number of atypical
figures is the sum of independent draws; its point estimate is the sum of the probabilities, not the
number of figures that are called atypical one by one: at a threshold that finds most of the rare
atypical figures, more typical figures are called atypical than the reverse.

Limits of the model: the detector's false positives and missed figures are not part of it, and the
probabilities hold for slides like those of the calibration.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from metaphase.arrays import FloatArray
from metaphase.counting.interval import LEVEL
from metaphase.detection.decode import logit, sigmoid
from metaphase.provenance import ATYPICAL_THRESHOLD, AtypicalParameters

_CERTAIN = 1e-6  # nearer to 0 or 1 a probability does not move with the slide
_SHIFTS = 41  # equally likely shifts of a slide
_EXACT = 300  # figures up to which the distribution is exact; beyond, each shift gives a normal one
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class AtypicalCount:
    """The atypical figures among ``figures`` counted ones.

    ``known`` figures have a probability, or a reader's decision; ``called`` of them are at or above
    the threshold. ``expected`` is the estimate of the true number among them, with its interval.
    """

    figures: int
    known: int
    called: int
    expected: float
    low: int
    high: int
    level: float = LEVEL

    def __str__(self) -> str:
        number = round(self.expected)
        some = "" if self.known == self.figures else f" of {self.known} that were assessed"
        return f"{number} atypical ({self.low} to {self.high}){some}"


def count_atypical(
    probabilities: FloatArray | Sequence[float],
    parameters: AtypicalParameters | None,
    *,
    level: float = LEVEL,
) -> AtypicalCount | None:
    """Return the atypical ones among figures with these probabilities [n], NaN where not known.

    None if no probability is known.
    """
    everything = np.asarray(probabilities, np.float64)
    p = everything[np.isfinite(everything)]
    if not len(p):
        return None
    how = parameters or AtypicalParameters(threshold=ATYPICAL_THRESHOLD)
    shifts = how.spread * np.array([_NORMAL.inv_cdf((k + 0.5) / _SHIFTS) for k in range(_SHIFTS)])
    number = _distribution(_shifted(p, shifts if how.spread > 0 else np.zeros(1)))
    tail = (1 - level) / 2
    low, high = np.searchsorted(np.cumsum(number), [tail, 1 - tail - 1e-9])
    called = int((p >= how.threshold).sum())
    return AtypicalCount(
        len(everything), len(p), called, float(p.sum()), int(low), min(int(high), len(p)), level
    )


def _shifted(p: FloatArray, shifts: FloatArray) -> FloatArray:
    """Return probabilities [shifts, n] with their log-odds shifted; 0 and 1 stay."""
    certain = (p <= _CERTAIN) | (p >= 1 - _CERTAIN)
    inside = np.where(certain, 0.5, p)
    moved = sigmoid(logit(inside) + shifts[:, None])
    return np.where(certain, np.round(p), moved)


def _distribution(p: FloatArray) -> FloatArray:
    """Return the distribution [n + 1] of the sum of draws with probabilities p [shifts, n], each
    shift equally likely."""
    shifts, n = p.shape
    if n <= _EXACT:
        chance = np.zeros((shifts, n + 1))
        chance[:, 0] = 1.0
        for i in range(n):  # Poisson binomial, one figure after the other
            one = p[:, i, None]
            chance[:, 1:] = chance[:, 1:] * (1 - one) + chance[:, :-1] * one
            chance[:, 0] *= 1 - one[:, 0]
        return np.asarray(chance.mean(axis=0))
    mean, std = p.sum(axis=1), np.sqrt(np.maximum((p * (1 - p)).sum(axis=1), 1e-12))
    total = np.zeros(n + 1)
    for m, s in zip(mean, std, strict=True):
        density = np.exp(-0.5 * ((np.arange(n + 1) - m) / s) ** 2)
        total += density / density.sum() / shifts
    return total
