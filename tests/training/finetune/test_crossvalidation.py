"""The prior precision is chosen on left-out slides, and no decision scores itself."""

from __future__ import annotations

import numpy as np
import pytest

from metaphase.training.finetune.crossvalidation import PARTS, cross_validate, parts_of
from metaphase.training.finetune.head import Head, Prior, fit_head


def a_pool(n=240, slides=4, seed=0):
    rng = np.random.default_rng(seed)
    features = rng.normal(0, 1, (n, 8))
    slide = np.arange(n) % slides
    figure = (features[:, 0] + rng.normal(0, 0.3, n) > 0.5).astype(float)
    prior = Prior.of(Head(np.full(8, 0.2), -1.0), features, 100.0)
    return prior, features, figure, slide


def test_logits_of_a_slide_do_not_depend_on_its_own_decisions():
    prior, features, target, slide = a_pool()
    one = cross_validate(prior, features, target, slide, (10.0,))
    flipped = np.where(slide == 2, 1 - target, target)
    other = cross_validate(prior, features, flipped, slide, (10.0,))
    assert one.probability_logits[slide == 2] == pytest.approx(other.probability_logits[slide == 2])
    assert not np.allclose(one.probability_logits[slide == 1], other.probability_logits[slide == 1])


def test_where_decisions_help_the_prior_is_loosened_and_else_kept():
    prior, features, target, slide = a_pool()
    helpful = cross_validate(prior, features, target, slide, (1.0, 1e6))
    assert helpful.posterior.prior.precision == 1.0
    noise = np.random.default_rng(3).permutation(target)
    useless = cross_validate(prior, features, noise, slide, (1e-3, 1e6))
    assert useless.posterior.prior.precision == 1e6
    few = np.where(np.arange(len(target)) < 8, target, np.nan)
    assert cross_validate(prior, features, few, slide, (1.0, 1e6)).posterior.prior.precision == 1e6


def test_scores_of_left_out_slides_stay_on_one_scale():
    prior, features, target, slide = a_pool()
    target = np.where(slide == 1, 1.0, target)  # one reader accepts everything
    result = cross_validate(prior, features, target, slide, (1e7,))
    expected = prior.head.logits(features)
    assert result.score_logits == pytest.approx(expected, abs=1e-3)
    assert not np.allclose(result.probability_logits, expected, atol=0.1)


def test_undecided_candidates_change_nothing_but_get_logits():
    prior, features, target, slide = a_pool()
    some = np.where(np.arange(len(target)) % 3 == 0, target, np.nan)
    result = cross_validate(prior, features, some, slide, (10.0,))
    decided = ~np.isnan(some)
    expected = fit_head(prior_with(prior, 10.0), features[decided], some[decided]).head
    assert result.posterior.head.weight == pytest.approx(expected.weight)
    assert np.isfinite(result.probability_logits).all()


def test_a_slide_without_decisions_is_scored_by_the_head_of_all():
    prior, features, target, slide = a_pool()
    some = np.where(slide == 3, np.nan, target)
    result = cross_validate(prior, features, some, slide, (10.0,))
    expected = result.posterior.head.logits(features[slide == 3])
    assert result.probability_logits[slide == 3] == pytest.approx(expected)


def prior_with(prior, precision):
    return Prior(
        prior.head, prior.mean, prior.spread, prior.logit_mean, prior.logit_spread, precision
    )


def test_parts_are_slides_or_turns_on_one_slide():
    slide = np.array([0, 0, 0, 1, 1, 1])
    two = np.array([True, False, False, True, False, False])
    assert parts_of(slide, two).tolist() == slide.tolist()
    one = np.arange(40) < 20
    parts = parts_of(np.repeat([0, 1], [30, 10]), one)
    assert np.bincount(parts[one]).tolist() == [20 // PARTS] * PARTS
    assert np.bincount(parts[~one]).tolist() == [20 // PARTS] * PARTS
