"""The candidates to review next: uncertain, unlike each other, of all slides."""

from __future__ import annotations

import numpy as np

from metaphase.detection.decode import sigmoid
from metaphase.training.finetune.head import Head, Prior, fit_head
from metaphase.training.finetune.selection import most_informative


def posterior_of(features, precision=1.0):
    prior = Prior.of(Head(np.array([2.0, 0.0, 0.0]), 0.0), features, precision)
    return fit_head(prior, features[:0], np.zeros(0))


def test_a_batch_is_not_a_nest_of_like_cells():
    rng = np.random.default_rng(0)
    nest = np.tile([0.0, 3.0, 3.0], (20, 1)) + rng.normal(0, 0.01, (20, 3))
    others = rng.normal(0, 1, (300, 3)) * [0.3, 0.6, 0.6]
    features = np.concatenate([nest, others])
    posterior = posterior_of(features)
    alone = np.argsort(-_information(posterior, features))[:10]
    together = most_informative(posterior, features, 10)
    assert (alone < 20).sum() == 10  # one by one, the nest has the ten best
    assert (together < 20).sum() <= 3
    assert together[0] == alone[0]


def _information(posterior, features):
    design = posterior.prior.design(features)
    score = sigmoid(posterior.head.logits(features))
    return score * (1 - score) * np.einsum("ij,jk,ik->i", design, posterior.covariance, design)


def test_the_sure_ones_wait_and_decided_ones_are_left_out():
    rng = np.random.default_rng(1)
    features = rng.normal(0, 1, (200, 3)) * [4, 1, 1]
    posterior = posterior_of(features)
    open_ = np.arange(200) % 2 == 0
    chosen = most_informative(posterior, features, 20, open_=open_)
    assert open_[chosen].all()
    assert len(set(chosen.tolist())) == 20
    logits = np.abs(posterior.head.logits(features))
    assert np.median(logits[chosen]) < np.median(logits)


def test_no_slide_takes_all_unless_the_others_are_exhausted():
    rng = np.random.default_rng(2)
    features = rng.normal(0, 1, (120, 3))
    features[:60] *= 3  # the candidates of slide 0 are more informative
    slide = np.repeat([0, 1, 2], [60, 55, 5])
    chosen = most_informative(posterior_of(features), features, 30, slide=slide)
    assert np.bincount(slide[chosen], minlength=3)[0] == 20
    everything = most_informative(posterior_of(features), features, 500, slide=slide)
    assert sorted(everything) == list(range(120))


def test_nothing_is_chosen_of_nothing():
    features = np.zeros((3, 3))
    posterior = posterior_of(np.random.default_rng(0).normal(0, 1, (9, 3)))
    closed = np.zeros(3, bool)
    assert len(most_informative(posterior, features, 5, open_=closed)) == 0
    assert len(most_informative(posterior, features[:0], 5)) == 0
