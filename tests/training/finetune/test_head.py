"""The head moves from its prior to the decisions, and never for nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.detection.decode import sigmoid
from metaphase.training.finetune.head import Head, Prior, fit_head

RNG = np.random.default_rng(0)
D = 6


def a_prior(precision=10.0, n=300, seed=0):
    rng = np.random.default_rng(seed)
    features = rng.normal(2.0, [0.5, 1, 2, 1, 1, 1], (n, D))
    head = Head(rng.normal(0, 0.4, D), -3.0)
    return Prior.of(head, features, precision), features


def test_without_decisions_the_head_stays():
    prior, features = a_prior()
    posterior = fit_head(prior, features[:0], np.zeros(0))
    assert posterior.head.weight == pytest.approx(prior.head.weight)
    assert posterior.head.bias == pytest.approx(prior.head.bias)
    assert posterior.covariance == pytest.approx(np.diag(1 / prior.precisions))


@given(seed=st.integers(0, 1000), scale=st.floats(0.01, 3))
def test_the_head_of_a_change_gives_the_logits_of_the_design(seed, scale):
    prior, features = a_prior(seed=seed)
    change = np.random.default_rng(seed).normal(0, scale, D + 2)
    expected = prior.head.logits(features) + prior.design(features) @ change
    assert prior.head_of(change).logits(features) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("n", [4, 200])  # fewer decisions than columns, and more
def test_it_is_the_minimum_of_the_loss(n):
    prior, features = a_prior()
    target = (features[:n, 2] > 2).astype(float)
    posterior = fit_head(prior, features[:n], target)

    def loss(change):
        logits = prior.head.logits(features[:n]) + prior.design(features[:n]) @ change
        entropy = np.logaddexp(0, logits) - target * logits
        return entropy.sum() + prior.precisions @ change**2 / 2

    least = loss(posterior.change)
    for step in RNG.normal(0, 0.01, (200, D + 2)):
        assert loss(posterior.change + step) >= least - 1e-9


def test_the_covariance_is_the_inverse_of_the_second_derivatives():
    prior, features = a_prior()
    design = prior.design(features)
    for n in (4, 200):
        posterior = fit_head(prior, features[:n], (features[:n, 2] > 2).astype(float))
        score = sigmoid(posterior.head.logits(features[:n]))
        part = design[:n]
        hessian = part.T @ (part * (score * (1 - score))[:, None]) + np.diag(prior.precisions)
        assert posterior.covariance @ hessian == pytest.approx(np.eye(D + 2), abs=1e-6)


def test_a_wrong_level_is_corrected_by_few_decisions_and_the_order_by_many():
    prior, features = a_prior(precision=100.0, n=2000)
    truth = sigmoid(4 * (features[:, 1] - 3))  # the prior's head knows nothing of column 1's step
    target = (np.random.default_rng(1).random(2000) < truth).astype(float)
    few = fit_head(prior, features[:15], target[:15]).head
    many = fit_head(prior, features[:1500], target[:1500]).head
    rest = slice(1500, None)

    def error(head):
        logits = head.logits(features[rest])
        return float((np.logaddexp(0, logits) - target[rest] * logits).mean())

    assert error(many) < error(few) < error(prior.head)
    assert np.corrcoef(few.weight, prior.head.weight)[0, 1] > 0.9


def test_weights_are_repetitions():
    prior, features = a_prior()
    target = (features[:20, 2] > 2).astype(float)
    times = np.arange(20) % 3
    weighted = fit_head(prior, features[:20], target, times.astype(float)).head
    repeated = fit_head(prior, np.repeat(features[:20], times, 0), np.repeat(target, times)).head
    assert weighted.weight == pytest.approx(repeated.weight, abs=1e-5)


def test_the_score_head_orders_alike_at_the_prior_level():
    prior, features = a_prior(precision=1.0)
    target = (features[:200, 2] > 2.5).astype(float)
    posterior = fit_head(prior, features[:200], target)
    probability = posterior.head.logits(features)
    score = posterior.score_head.logits(features)
    assert np.corrcoef(probability, score)[0, 1] == pytest.approx(1.0, abs=1e-9)
    nothing = fit_head(prior, features[:0], np.zeros(0)).score_head
    assert nothing.logits(features) == pytest.approx(prior.head.logits(features))
