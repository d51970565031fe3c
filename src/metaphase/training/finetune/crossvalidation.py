"""How far the decisions may move the last layer, chosen by cross-validation over slides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from metaphase.arrays import BoolArray, FloatArray, IntArray
from metaphase.training.finetune.head import Posterior, Prior, fit_head

PRECISIONS = (300.0, 10000.0)
"""Prior precisions that are tried; the largest keeps the order of the scores."""
_FEWEST = 10
"""Decisions, below which the order is kept."""
PARTS = 5
"""Parts of the candidates where only one slide has decisions."""


@dataclass(frozen=True, slots=True, eq=False)
class CrossValidated:
    """The head fitted to all decisions, and what the heads that were fitted without the decisions
    of a part make of it.

    ``probability_logits`` [n] are of ``Posterior.head``, ``score_logits`` [n] of
    ``Posterior.score_head``. ``losses`` is the mean cross entropy by prior precision.
    """

    posterior: Posterior
    probability_logits: FloatArray
    score_logits: FloatArray
    losses: dict[float, float]


def cross_validate(
    prior: Prior,
    features: FloatArray,
    target: FloatArray,
    part: IntArray,
    precisions: Sequence[float] = PRECISIONS,
) -> CrossValidated:
    """Fit the head with the prior precision that predicts the decisions of left-out parts best.

    ``features`` [n, d] are those of all candidates, ``target`` [n] in [0, 1] is NaN where one is
    undecided, ``part`` [n] is what is left out together. A smaller precision is taken only where it
    is better than every larger one by more than the standard error of the difference.
    """
    decided = ~np.isnan(target)
    best: tuple[float, _LeftOut, FloatArray] | None = None
    losses = {}
    for precision in sorted(precisions, reverse=True):
        changed = replace(prior, precision=precision)
        left_out = _left_out(changed, features, target, part)
        entropy = _cross_entropy(left_out.probability[decided], target[decided])
        losses[precision] = float(entropy.mean()) if len(entropy) else 0.0
        if best is None or _is_better(entropy, best[2]):
            best = precision, left_out, entropy
    assert best is not None
    chosen = replace(prior, precision=best[0])
    posterior = fit_head(chosen, features[decided], target[decided])
    return CrossValidated(posterior, best[1].probability, best[1].score, losses)


def parts_of(slide: IntArray, decided: BoolArray) -> IntArray:
    """Return the part [n] of each candidate: its slide, where two slides or more have decisions.

    On one slide alone the decided candidates are shared out by turns, and so are the others.
    """
    if len(np.unique(slide[decided])) > 1:
        return slide
    parts = np.empty(len(slide), np.int64)
    for rows in (np.flatnonzero(decided), np.flatnonzero(~decided)):
        parts[rows] = np.arange(len(rows)) % PARTS
    return parts


@dataclass(frozen=True, slots=True, eq=False)
class _LeftOut:
    probability: FloatArray
    score: FloatArray


def _left_out(prior: Prior, features: FloatArray, target: FloatArray, part: IntArray) -> _LeftOut:
    decided = ~np.isnan(target)
    everything: Posterior | None = None
    found = _LeftOut(np.empty(len(target)), np.empty(len(target)))
    for number in np.unique(part):
        here = part == number
        used = decided & ~here
        if (decided & here).any():
            posterior = fit_head(prior, features[used], target[used])
        else:  # it has no decisions that would have to be left out
            everything = everything or fit_head(prior, features[decided], target[decided])
            posterior = everything
        found.probability[here] = posterior.head.logits(features[here])
        found.score[here] = posterior.score_head.logits(features[here])
    return found


def _cross_entropy(logits: FloatArray, target: FloatArray) -> FloatArray:
    return np.asarray(np.logaddexp(0.0, logits) - target * logits)


def _is_better(entropy: FloatArray, than: FloatArray) -> bool:
    """Return whether a mean cross entropy is lower by more than its standard error."""
    difference = than - entropy
    if len(difference) < _FEWEST:
        return False
    error = float(difference.std()) / len(difference) ** 0.5
    return bool(difference.mean() > error)
