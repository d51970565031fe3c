from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaphase.counting.interval import CountComposition, Validation, estimate
from metaphase.errors import InputError


@settings(max_examples=30, deadline=None)
@given(
    n=st.integers(0, 200),
    tp=st.integers(1, 500),
    fp=st.integers(0, 500),
    fn=st.integers(0, 500),
)
def test_the_expected_count_is_n_precision_over_recall(n, tp, fp, fn):
    found = estimate(CountComposition(n), Validation(tp, fp, fn))
    assert found.expected == pytest.approx(n * (tp / (tp + fp)) / (tp / (tp + fn)))
    assert 0 <= found.low <= found.high


def test_the_same_seed_gives_the_same_interval():
    seen, validation = CountComposition(20), Validation(80, 20, 20)
    assert estimate(seen, validation, seed=3) == estimate(seen, validation, seed=3)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    # Figures fall as the model says, with a known precision and recall.
    rng = np.random.default_rng(1)
    precision, recall, hits, runs = 0.8, 0.7, 0, 400
    for _ in range(runs):
        found = rng.poisson(20 * recall)
        truth = found + rng.poisson(20 * (1 - recall))
        false = rng.poisson(20 * recall * (1 - precision) / precision)
        validation = Validation(
            *(max(1, rng.binomial(1000, p)) for p in (recall, recall * 0.25, 1 - recall))
        )
        interval = estimate(CountComposition(int(found + false)), validation, draws=2000)
        hits += interval.low <= truth <= interval.high
    assert 0.92 <= hits / runs <= 1.0


def test_more_validation_narrows_the_interval():
    wide, narrow = (
        estimate(CountComposition(50), Validation(8 * k, 2 * k, 2 * k)) for k in (1, 100)
    )
    assert narrow.high - narrow.low < wide.high - wide.low


def test_what_little_is_known_of_recall_widens_it_too():
    """Confirmed figures leave nothing to precision: only recall is different here."""
    known = estimate(CountComposition(0, confirmed=50), Validation(8000, 1, 2000))
    guessed = estimate(CountComposition(0, confirmed=50), Validation(8, 1, 2))
    assert guessed.high - guessed.low > 2 * (known.high - known.low)


def test_what_people_confirmed_is_certain():
    assert estimate(CountComposition(0, confirmed=9, added=2, complete=True), None).low == 11
    found = estimate(CountComposition(0, confirmed=9, added=2), Validation(80, 20, 20))
    assert found.low >= 11
    assert estimate(CountComposition(0, confirmed=9), None) is None


def test_nothing_found_is_not_nothing_there():
    found = estimate(CountComposition(0), Validation(50, 10, 50))
    assert found.expected == 0
    assert found.high >= 1


@pytest.mark.parametrize("counts", [(0, 5, 5), (-1, 0, 0), (5, -1, 0)])
def test_validations_without_true_positives_are_refused(counts):
    with pytest.raises(InputError):
        Validation(*counts)
