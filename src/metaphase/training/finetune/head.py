"""The last layer of the second stage, fitted to the decisions of a reader.

The logit of a window is linear in its features (``WindowNetwork.pooled``). With few decisions,
the layer is estimated as the most probable one under a Gaussian prior around the layer of the model
that is fine-tuned (logistic regression with an offset; MacKay 1992, Neural Computation 4:448):

    logit = prior logit + standardised features . d + g * standardised prior logit + b

The prior of d is narrow, that of the gain g is wider and that of the bias b is widest. So a few
decisions move the level of the scores, some more their spread, and many their order. Level and
spread make probabilities of the scores; the model file gets the order alone, at the level and
spread that it had (``Posterior.score_head``), and a threshold.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metaphase.arrays import FloatArray
from metaphase.detection.decode import sigmoid

GAIN_PRECISION = 4.0
"""Prior precision of the relative change of the spread of the logits: standard deviation 0.5."""
BIAS_PRECISION = 0.05
"""Prior precision of the shift of the logits: a standard deviation of 4.5."""
_STEPS = 50
_CONVERGED = 1e-8
_LEAST_SPREAD = 1e-6
_LEAST_GAIN = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """The last layer: ``weight`` [d] and ``bias``."""

    weight: FloatArray
    bias: float

    def logits(self, features: FloatArray) -> FloatArray:
        """Return the logits [n] of features [n, d]."""
        return np.asarray(features @ self.weight + self.bias)


@dataclass(frozen=True, slots=True, eq=False)
class Prior:
    """The prior of a head: the head of the model that is fine-tuned, and the spread of features.

    ``mean`` and ``spread`` [d] are those of the features of all candidates of the slides, reviewed
    or not; ``logit_mean`` and ``logit_spread`` those of their logits. ``precision`` is that of the
    change of a standardised weight: large values keep the head.
    """

    head: Head
    mean: FloatArray
    spread: FloatArray
    logit_mean: float
    logit_spread: float
    precision: float

    @classmethod
    def of(cls, head: Head, features: FloatArray, precision: float) -> Prior:
        """Measure the features [n, d] of the candidates."""
        logits = head.logits(features)
        return cls(
            head,
            features.mean(axis=0),
            np.maximum(features.std(axis=0), _LEAST_SPREAD),
            float(logits.mean()),
            float(max(logits.std(), _LEAST_SPREAD)),
            precision,
        )

    def design(self, features: FloatArray) -> FloatArray:
        """Return the columns [n, d + 2] on which the change of the logit depends linearly."""
        standard = (features - self.mean) / self.spread
        logits = (self.head.logits(features) - self.logit_mean) / self.logit_spread
        return np.column_stack([standard, logits, np.ones(len(features))])

    @property
    def precisions(self) -> FloatArray:
        """The prior precision of each column of the design [d + 2]."""
        each = np.full(len(self.mean), self.precision)
        return np.concatenate([each, [GAIN_PRECISION / self.logit_spread**2, BIAS_PRECISION]])

    def head_of(self, change: FloatArray) -> Head:
        """Return the head that a change [d + 2] of the design's coefficients gives."""
        gain = change[-2] / self.logit_spread
        weight = self.head.weight * (1 + gain) + change[:-2] / self.spread
        bias = self.head.bias * (1 + gain) - gain * self.logit_mean + change[-1]
        return Head(weight, float(bias - self.mean @ (change[:-2] / self.spread)))


@dataclass(frozen=True, slots=True, eq=False)
class Posterior:
    """The fitted head as the ``change`` [d + 2] of the prior's, and how certain it is.

    ``hessian`` [k, k]: second derivatives of the loss in coordinates of prior precision 1, in the
    directions of ``basis`` [d + 2, k] (None: in all); in the others the prior holds.
    """

    prior: Prior
    change: FloatArray
    hessian: FloatArray
    basis: FloatArray | None

    @property
    def covariance(self) -> FloatArray:
        """The posterior covariance [d + 2, d + 2] of the change."""
        inverse = np.linalg.inv(self.hessian)
        if self.basis is not None:
            inverse = self.basis @ (inverse - np.eye(len(inverse))) @ self.basis.T
            inverse[np.diag_indices(len(inverse))] += 1
        deviation = 1 / np.sqrt(self.prior.precisions)
        return np.asarray(deviation[:, None] * inverse * deviation)

    @property
    def head(self) -> Head:
        """The most probable head: its scores are probabilities."""
        return self.prior.head_of(self.change)

    @property
    def score_head(self) -> Head:
        """The head with the same order of logits, at the level and spread of the prior's.

        Fits to different decisions differ in level and spread by chance. Without that difference
        one threshold holds for all of them, and for the model that is fine-tuned.
        """
        gain = 1 + self.change[-2] / self.prior.logit_spread
        order = np.concatenate([self.change[:-2] / max(float(gain), _LEAST_GAIN), [0.0, 0.0]])
        return self.prior.head_of(order)


def fit_head(
    prior: Prior, features: FloatArray, target: FloatArray, weight: FloatArray | None = None
) -> Posterior:
    """Return the most probable head after decisions, by Newton's method.

    ``features`` [n, d] and ``target`` [n] in [0, 1] are those of the reviewed candidates;
    ``weight`` [n] is how often each counts (default: once). Without decisions the prior's head is
    returned.
    """
    deviation = 1 / np.sqrt(prior.precisions)
    design = prior.design(features) * deviation  # of a change with a prior precision of 1
    # The change is a combination of the rows of the design: n numbers, if they are fewer than d.
    basis = np.linalg.qr(design.T)[0] if len(design) < design.shape[1] else None
    small = design if basis is None else design @ basis
    times = np.ones(len(target)) if weight is None else weight
    part, hessian = _newton(small, prior.head.logits(features), target, times)
    change = part if basis is None else basis @ part
    return Posterior(prior, deviation * change, hessian, basis)


def _newton(
    design: FloatArray, offset: FloatArray, target: FloatArray, times: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the most probable coefficients [k], and the second derivatives there [k, k]."""

    def loss_of(change: FloatArray) -> float:
        logits = offset + design @ change
        entropy = np.logaddexp(0.0, logits) - target * logits
        return float(times @ entropy + change @ change / 2)

    def hessian_of(change: FloatArray) -> tuple[FloatArray, FloatArray]:
        score = sigmoid(offset + design @ change)
        curvature = times * score * (1 - score)
        hessian = design.T @ (design * curvature[:, None]) + np.eye(design.shape[1])
        return design.T @ (times * (score - target)) + change, hessian

    change = np.zeros(design.shape[1])
    loss = loss_of(change)
    for _ in range(_STEPS):
        gradient, hessian = hessian_of(change)
        step = np.linalg.solve(hessian, gradient)
        size = 1.0
        while (lower := loss_of(change - size * step)) > loss and size > _CONVERGED:
            size /= 2
        if lower > loss:
            break
        change, before, loss = change - size * step, loss, lower
        if before - loss <= _CONVERGED * max(1.0, before):
            break
    return change, hessian_of(change)[1]
