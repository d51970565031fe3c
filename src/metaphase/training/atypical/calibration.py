"""Threshold, calibration and scores from the logits of left-out figures.

The threshold is the mean of the best thresholds (by balanced accuracy) of bootstrap samples of the
cases: one best threshold depends on few figures. The calibration is Platt's (1999): a logistic
regression of the label on the logit. ``case_spread`` is the maximum-likelihood standard deviation
of a normal shift of each case's log-odds (a random intercept).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from metaphase.arrays import BoolArray, FloatArray, IntArray
from metaphase.detection.decode import sigmoid
from metaphase.evaluation.atypical import AtypicalRows, AtypicalScores, atypical_scores

_SAMPLES = 200
_STEPS = 256  # thresholds that are tried
_LARGEST_SPREAD, _SPREADS = 2.0, 41
_NODES = 31
_RIDGE = 1e-3  # of the slope, so that separable labels have a finite one
_ITERATIONS = 50


@dataclass(frozen=True, slots=True)
class Calibration:
    """A probability is ``sigmoid(slope * logit + intercept)``; a figure is called atypical from
    ``threshold`` on. ``spread`` is the standard deviation of the log-odds between cases."""

    slope: float
    intercept: float
    threshold: float
    spread: float = 0.0

    def probability(self, logits: FloatArray) -> FloatArray:
        """Return the probabilities of logits."""
        return sigmoid(self.slope * logits + self.intercept)


def calibrate(
    logits: FloatArray, truth: BoolArray, group: Sequence[str], seed: int = 0
) -> Calibration:
    """Return the calibration of figures [n] that the network did not see in training."""
    found = _without_spread(logits, truth, group, seed)
    spread = case_spread(found.slope * logits + found.intercept, truth, group)
    return replace(found, spread=spread)


def _without_spread(
    logits: FloatArray, truth: BoolArray, group: Sequence[str], seed: int
) -> Calibration:
    found = Calibration(*platt(logits, truth), threshold=0.5)
    threshold = best_threshold(found.probability(logits), truth, group, seed)
    return replace(found, threshold=threshold)


def platt(logits: FloatArray, truth: BoolArray) -> tuple[float, float]:
    """Return slope and intercept of the logistic regression of labels on logits, by Newton's
    method. The slope is at least a small positive number, so that the order of figures stays."""
    x = np.stack([logits, np.ones(len(logits))], axis=1)
    y = truth.astype(np.float64)
    beta = np.array([1.0, 0.0])
    ridge = np.diag([_RIDGE, _RIDGE])
    for _ in range(_ITERATIONS):
        p = sigmoid(x @ beta)
        gradient = x.T @ (y - p) - ridge @ beta
        hessian = (x * (p * (1 - p))[:, None]).T @ x + ridge
        step = np.linalg.solve(hessian, gradient)
        beta += np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-10:
            break
    return max(float(beta[0]), 1e-3), float(beta[1])


def best_threshold(
    score: FloatArray, truth: BoolArray, group: Sequence[str], seed: int = 0
) -> float:
    """Return the mean over bootstrap samples of the cases of the threshold with the best balanced
    accuracy, rounded to 0.001."""
    steps = np.unique(np.quantile(score, np.linspace(0, 1, _STEPS), method="lower"))
    names, unit = np.unique(np.asarray(group), return_inverse=True)
    place = np.searchsorted(steps, score, side="right") - 1
    counts = np.zeros((2, len(names), len(steps)))
    np.add.at(counts, (truth.astype(int), unit, place), 1)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), _SAMPLES)
    negative, positive = (drawn @ part for part in counts)
    found = np.cumsum(positive[:, ::-1], axis=1)[:, ::-1]  # at or above each step
    wrong = np.cumsum(negative[:, ::-1], axis=1)[:, ::-1]
    whole = (
        np.maximum(positive.sum(1, keepdims=True), 1),
        np.maximum(negative.sum(1, keepdims=True), 1),
    )
    accuracy = (found / whole[0] + 1 - wrong / whole[1]) / 2
    return round(float(np.mean(steps[np.argmax(accuracy, axis=1)])), 3)


def case_spread(log_odds: FloatArray, truth: BoolArray, group: Sequence[str]) -> float:
    """Return the standard deviation of the log-odds between cases, by maximum likelihood."""
    _, unit = np.unique(np.asarray(group), return_inverse=True)
    order = np.argsort(unit, kind="stable")
    log_odds, truth = log_odds[order], truth[order]
    starts = np.flatnonzero(np.diff(unit[order], prepend=-1))  # of each case
    normal = NormalDist()
    nodes = np.array([normal.inv_cdf((k + 0.5) / _NODES) for k in range(_NODES)])
    sign = np.where(truth, 1.0, -1.0)
    best, most = 0.0, -np.inf
    for spread in np.linspace(0, _LARGEST_SPREAD, _SPREADS):
        logs = -np.logaddexp(0, -sign * (log_odds + spread * nodes[:, None]))  # [nodes, n]
        by_case = np.add.reduceat(logs, starts, axis=1)
        likelihood = np.logaddexp.reduce(by_case, axis=0).sum()
        if likelihood > most:
            best, most = float(spread), likelihood
    return round(best, 3)


def nested_probabilities(
    logits: FloatArray, truth: BoolArray, group: Sequence[str], fold: IntArray, seed: int = 0
) -> tuple[FloatArray, BoolArray]:
    """Return the probability of each figure and whether it is called atypical, both [n].

    ``logits`` are those of networks that did not see the figure's fold. Calibration and threshold
    of a fold come from the figures of the other folds.
    """
    probability, called = np.zeros(len(logits)), np.zeros(len(logits), bool)
    for number in np.unique(fold):
        here = fold == number
        others = [group[i] for i in np.flatnonzero(~here).tolist()]
        calibration = _without_spread(logits[~here], truth[~here], others, seed)
        probability[here] = calibration.probability(logits[here])
        called[here] = probability[here] >= calibration.threshold
    return probability, called


def nested_scores(
    logits: FloatArray,
    truth: BoolArray,
    group: Sequence[str],
    scanner: Sequence[str],
    fold: IntArray,
    *,
    resamples: int = 0,
    seed: int = 0,
) -> AtypicalScores:
    """Return the scores of the cross-validation, overall and by scanner, the worst one first."""
    probability, called = nested_probabilities(logits, truth, group, fold, seed)
    rows = AtypicalRows(truth, probability, called, group, scanner)
    return atypical_scores(rows, resamples=resamples, seed=seed)
