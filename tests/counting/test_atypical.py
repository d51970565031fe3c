"""How many counted figures are atypical."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.counting.atypical import count_atypical
from metaphase.counting.count import count_slide
from metaphase.counting.review import DecisionState, ReviewDecision
from metaphase.figures import Detections
from metaphase.provenance import AtypicalParameters, Provenance

HOW = AtypicalParameters(threshold=0.3)
probabilities = st.lists(st.floats(0, 1), min_size=1, max_size=6)


@given(probabilities)
def test_the_interval_is_that_of_all_outcomes(p: list[float]) -> None:
    chance = np.zeros(len(p) + 1)
    for outcome in itertools.product((0, 1), repeat=len(p)):
        parts = [q if hit else 1 - q for q, hit in zip(p, outcome, strict=True)]
        chance[sum(outcome)] += np.prod(parts)
    total = np.cumsum(chance)
    result = count_atypical(p, HOW)
    assert result is not None
    assert result.expected == pytest.approx(sum(p))
    assert total[result.high] >= 0.975 - 1e-6
    assert result.low == 0 or total[result.low - 1] < 0.025 + 1e-6
    assert result.low <= result.high <= len(p)


def test_unknown_figures_are_left_out_and_stated() -> None:
    result = count_atypical([0.2, float("nan"), 0.8], HOW)
    assert result is not None
    assert (result.figures, result.known, result.called) == (3, 2, 1)
    assert "of 2 that were assessed" in str(result)
    assert count_atypical([float("nan")], HOW) is None
    assert count_atypical([], HOW) is None


def test_readers_decisions_are_certain() -> None:
    result = count_atypical([1.0, 0.0, 1.0], AtypicalParameters(threshold=0.3, spread=1.0))
    assert result is not None
    assert (result.expected, result.low, result.high) == (2.0, 2, 2)


@pytest.mark.parametrize("n", [40, 400])  # exact, and by normal distributions
def test_a_spread_between_cases_widens_the_interval(n: int) -> None:
    narrow = count_atypical([0.2] * n, HOW)
    wide = count_atypical([0.2] * n, HOW.model_copy(update={"spread": 0.7}))
    assert narrow is not None
    assert wide is not None
    assert narrow.low <= 0.2 * n <= narrow.high
    assert wide.low < narrow.low
    assert wide.high > narrow.high


def test_many_figures_have_the_exact_interval_nearly() -> None:
    """On both sides of where the computation changes."""
    few, many = count_atypical([0.2] * 300, HOW), count_atypical([0.2] * 301, HOW)
    assert few is not None
    assert many is not None
    assert abs(few.low - many.low) <= 1
    assert abs(few.high - many.high) <= 1


def test_a_count_says_how_many_are_atypical() -> None:
    provenance = Provenance(
        "a.png", 4000, 4000, 0.25, threshold=0.5, parameters={"atypical": {"threshold": 0.3}}
    )
    detections = Detections(
        [100, 200, 300, 400],
        [100, 200, 300, 400],
        [0.9, 0.8, 0.7, 0.2],
        provenance=provenance,
        atypical=[0.9, 0.1, 0.2, np.nan],
    )
    result = count_slide(detections)
    best = result.hotspots[0]
    assert best.atypical is not None
    assert (best.count, best.atypical.called) == (3, 1)
    assert str(best).startswith("3 figures, 1 atypical (")
    assert result.to_dict()["slide"]["atypical"]["expected"] == pytest.approx(1.2)
    decisions = [
        ReviewDecision(200, 200, DecisionState.CONFIRMED, atypical=True),
        ReviewDecision(300, 300, DecisionState.REJECTED),
    ]
    reviewed = count_slide(detections, decisions=decisions).hotspots[0]
    assert reviewed.atypical is not None
    assert (reviewed.count, reviewed.atypical.called) == (2, 2)
    assert reviewed.atypical.expected == pytest.approx(1.9)


def test_a_count_without_probabilities_says_nothing() -> None:
    detections = Detections([1], [1], [0.9], provenance=Provenance("a.png", 400, 400, 0.25))
    result = count_slide(detections)
    assert result.total_atypical is None
    assert str(result.hotspots[0]) == "1 figure"
