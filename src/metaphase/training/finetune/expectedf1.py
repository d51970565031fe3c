"""The threshold after a review in which not every candidate was decided.

A decided candidate is a figure or is not one; an undecided one is a figure with the probability
that the fine-tuned model gives it, and never simply a negative. The scores of each slide come from
a head that was fitted without its decisions (leave-one-slide-out cross-validation). From both
follow the expected counts, and the threshold with the highest expected F1 (Lipton et al. 2014).
Its interval and those of the scores are percentiles over bootstrap samples of the slides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metaphase.arrays import BoolArray, FloatArray, IntArray
from metaphase.detection.decode import logit, sigmoid

RESAMPLES = 500
_DIGITS = 4
_TAILS = (2.5, 97.5)
_LOW_SHARE = 0.05
PRIOR_FIGURES = 20.0
"""Decided figures that weigh as much as the threshold of the model that is fine-tuned."""
_LEAST_SCORE = 1e-6


@dataclass(frozen=True, slots=True)
class Expected:
    """Expected counts at a threshold. ``figures`` includes those without a candidate."""

    tp: float
    fp: float
    figures: float

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + FN)."""
        total = self.tp + self.fp + self.figures
        return 2 * self.tp / total if total else 0.0

    @property
    def precision(self) -> float:
        """TP / (TP + FP); 0 without detections."""
        found = self.tp + self.fp
        return self.tp / found if found else 0.0

    @property
    def recall(self) -> float:
        """TP / figures; 0 without figures."""
        return self.tp / self.figures if self.figures else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class ScoredCandidates:
    """Candidates [n] of all slides.

    ``score``: final score by a model that does not know the decisions on the slide.
    ``probability``: that it is a figure, 0 or 1 where it was decided. ``slide``: the number of its
    slide. ``missed`` [slides]: figures that a reader added where there is no candidate.
    """

    score: FloatArray
    probability: FloatArray
    slide: IntArray
    missed: FloatArray


Interval = tuple[float, float]
"""Low and high end of a 95 % interval."""


@dataclass(frozen=True, slots=True)
class ExpectedScores:
    """The expected scores at a threshold, with 95 % intervals.

    The intervals are percentiles over bootstrap samples of the slides; with one slide, of its
    candidates.
    """

    expected: Expected
    f1: Interval
    precision: Interval
    recall: Interval


@dataclass(frozen=True, slots=True)
class ChosenThreshold:
    """A threshold with its 95 % interval, and the expected scores at it."""

    value: float
    interval: Interval
    scores: ExpectedScores


def expected_at(candidates: ScoredCandidates, threshold: float) -> Expected:
    """Return the expected counts at a threshold."""
    counts = candidates.score >= threshold
    tp = float(candidates.probability[counts].sum())
    figures = float(candidates.probability.sum() + candidates.missed.sum())
    return Expected(tp, float(counts.sum()) - tp, figures)


def lowest_threshold(score: FloatArray, decided: BoolArray, before: float) -> float:
    """Return the lowest threshold that the decisions allow.

    It is the score above which all but a few decided candidates lie, or the threshold ``before``
    them if that is lower.
    """
    return min(before, float(np.quantile(score[decided], _LOW_SHARE))) if decided.any() else before


def scores_at(candidates: ScoredCandidates, threshold: float, seed: int = 0) -> ExpectedScores:
    """Return the expected scores at a threshold."""
    curves = _Curves(candidates)
    samples = _samples(candidates, np.random.default_rng(seed))
    scores = [curves.at(threshold, times, missed) for times, missed in samples]
    table = np.array([(one.f1, one.precision, one.recall) for one in scores])
    low, high = np.percentile(table, _TAILS, axis=0).tolist()
    return ExpectedScores(expected_at(candidates, threshold), *zip(low, high, strict=True))


@dataclass(frozen=True, slots=True)
class EarlierThreshold:
    """The threshold ``value`` of the model that is fine-tuned, and the number of mitotic figures
    that were decided since."""

    value: float
    figures: float

    def towards(self, value: float) -> float:
        """Return a threshold between this one and ``value``.

        It is the mean of their logits, ``value`` weighted by the decided figures and this one by
        ``PRIOR_FIGURES``.
        """
        ends = np.clip([self.value, value], _LEAST_SCORE, 1 - _LEAST_SCORE)
        mean = np.average(logit(ends), weights=[PRIOR_FIGURES, max(self.figures, 0.0)])
        return float(sigmoid(np.array([mean]))[0])


def choose_threshold(
    candidates: ScoredCandidates,
    seed: int = 0,
    *,
    lowest: float = 0.0,
    earlier: EarlierThreshold | None = None,
) -> ChosenThreshold:
    """Return the threshold with the highest expected F1, at least ``lowest``.

    It is the mean of the best thresholds of bootstrap samples (bagging, Breiman 1996): over few
    decisions the best one alone is chance. ``lowest``: see ``lowest_threshold``; far below what was
    decided, probabilities are extrapolated. With few decided figures the threshold stays near the
    ``earlier`` one. Raises ValueError without candidates.
    """
    if not len(candidates.score):
        raise ValueError("no candidates")
    curves = _Curves(candidates)
    samples = _samples(candidates, np.random.default_rng(seed))
    values = [max(lowest, curves.best(times, missed)) for times, missed in samples]
    if earlier is not None:
        values = [earlier.towards(value) for value in values]
    value = round(float(np.mean(values)), _DIGITS)
    low, high = np.percentile(values, _TAILS).tolist()
    return ChosenThreshold(value, (low, high), scores_at(candidates, value, seed))


class _Curves:
    """F1 at every threshold, for weights of the candidates."""

    def __init__(self, candidates: ScoredCandidates) -> None:
        self.order = np.argsort(-candidates.score, kind="stable")
        self.score = candidates.score[self.order]
        self.probability = candidates.probability[self.order]
        self.last = np.flatnonzero(np.diff(self.score, append=-1.0))  # equal scores count together

    def best(self, times: FloatArray, missed: float) -> float:
        """Return the middle of the interval of thresholds with the highest F1."""
        times = times[self.order]
        tp = np.cumsum(times * self.probability)[self.last]
        found = np.cumsum(times)[self.last]
        figures = float(times @ self.probability) + missed
        f1 = 2 * tp / np.maximum(found + figures, 1e-9)
        at = int(np.argmax(f1))
        low = self.score[self.last[at + 1]] if at + 1 < len(self.last) else 0.0
        return float(self.score[self.last[at]] + low) / 2

    def at(self, threshold: float, times: FloatArray, missed: float) -> Expected:
        """Return the expected counts at a threshold."""
        times = times[self.order]
        counts = self.score >= threshold
        tp = float(times[counts] @ self.probability[counts])
        figures = float(times @ self.probability) + missed
        return Expected(tp, float(times[counts].sum()) - tp, figures)


def _samples(
    candidates: ScoredCandidates, rng: np.random.Generator
) -> list[tuple[FloatArray, float]]:
    """Return bootstrap samples of the slides: how often each candidate counts, missed figures."""
    slides = len(candidates.missed)
    samples = []
    for _ in range(RESAMPLES):
        if slides > 1:
            drawn = rng.multinomial(slides, np.full(slides, 1 / slides)).astype(np.float64)
            samples.append((drawn[candidates.slide], float(drawn @ candidates.missed)))
        else:
            n = len(candidates.score)
            times = rng.multinomial(n, np.full(n, 1 / n)).astype(np.float64)
            samples.append((times, float(candidates.missed.sum())))
    return samples
