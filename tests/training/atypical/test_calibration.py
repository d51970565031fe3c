"""Threshold, calibration and nested scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaphase.detection.decode import sigmoid
from metaphase.training.atypical.calibration import (
    best_threshold,
    calibrate,
    case_spread,
    nested_probabilities,
    nested_scores,
    platt,
)


def drawn(n=4000, slope=1.5, intercept=-1.0, spread=0.0, per_case=20, seed=0):
    """Logits whose labels follow a logistic curve, shifted by case."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=n)
    case = np.arange(n) // per_case
    shift = rng.normal(0, spread, case.max() + 1)[case] if spread else 0.0
    truth = rng.random(n) < sigmoid(slope * logits + intercept + shift)
    return logits, truth, [str(c) for c in case]


@settings(max_examples=10, deadline=None)
@given(st.floats(0.5, 3), st.floats(-2, 1))
def test_the_curve_that_made_the_labels_is_found(slope: float, intercept: float) -> None:
    logits, truth, _ = drawn(20_000, slope, intercept)
    found = platt(logits, truth)
    assert found[0] == pytest.approx(slope, rel=0.15)
    assert found[1] == pytest.approx(intercept, abs=0.15)


def test_separable_labels_have_a_finite_slope_and_reversed_ones_a_positive() -> None:
    logits = np.linspace(-1, 1, 50)
    assert np.isfinite(platt(logits, logits > 0)).all()
    assert platt(logits, logits < 0)[0] > 0


def test_the_threshold_is_near_that_of_the_best_balanced_accuracy() -> None:
    """For calibrated probabilities that is the share of atypical figures."""
    logits, truth, group = drawn(20_000)
    probability = sigmoid(1.5 * logits - 1.0)
    threshold = best_threshold(probability, truth, group)
    assert threshold == pytest.approx(truth.mean(), abs=0.05)
    assert best_threshold(probability, truth, group) == threshold


@pytest.mark.parametrize("spread", [0.0, 0.8])
def test_the_spread_between_cases_is_found(spread: float) -> None:
    logits, truth, group = drawn(8000, spread=spread)
    found = case_spread(1.5 * logits - 1.0, truth, group)
    assert found == pytest.approx(spread, abs=0.2)


def test_a_fold_takes_nothing_from_its_own_labels() -> None:
    logits, truth, group = drawn(1000)
    fold = (np.arange(1000) // 20) % 5
    probability, called = nested_probabilities(logits, truth, group, fold)
    here = fold == 2
    flipped = truth.copy()
    flipped[here] = ~flipped[here]
    again, called_again = nested_probabilities(logits, flipped, group, fold)
    np.testing.assert_array_equal(probability[here], again[here])
    np.testing.assert_array_equal(called[here], called_again[here])
    assert not np.array_equal(probability[~here], again[~here])


def test_nested_scores_are_those_of_the_probabilities() -> None:
    logits, truth, group = drawn(1000)
    fold = (np.arange(1000) // 20) % 5
    scanner = ["A" if f % 2 else "B" for f in fold]
    scores = nested_scores(logits, truth, group, scanner, fold)
    _, called = nested_probabilities(logits, truth, group, fold)
    assert scores.overall.tp == int((truth & called).sum())
    assert set(scores.domains) == {"A", "B"}
    assert calibrate(logits, truth, group).slope == pytest.approx(1.5, rel=0.3)
