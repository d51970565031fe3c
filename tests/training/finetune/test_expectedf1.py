"""Expected scores and the threshold where some candidates are undecided."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.training.finetune.expectedf1 import (
    PRIOR_FIGURES,
    EarlierThreshold,
    ScoredCandidates,
    choose_threshold,
    expected_at,
    lowest_threshold,
    scores_at,
)


def table(score, probability, slide=None, missed=(0,)):
    score = np.asarray(score, float)
    slide = np.zeros(len(score), int) if slide is None else np.asarray(slide)
    return ScoredCandidates(score, np.asarray(probability, float), slide, np.asarray(missed, float))


def test_where_all_is_decided_the_counts_are_plain():
    one = expected_at(table([0.9, 0.8, 0.3], [1, 0, 1], missed=(2,)), 0.5)
    assert (one.tp, one.fp, one.figures) == (1, 1, 4)
    assert (one.precision, one.recall) == (0.5, 0.25)
    assert one.f1 == pytest.approx(2 / 6)


def test_an_undecided_candidate_is_no_negative():
    undecided = expected_at(table([0.9, 0.8], [1, 0.5]), 0.5)
    negative = expected_at(table([0.9, 0.8], [1, 0.0]), 0.5)
    assert undecided.tp == 1.5
    assert undecided.fp == 0.5
    assert undecided.f1 > negative.f1


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30),
    st.integers(1, 3),
)
def test_no_other_threshold_is_better_without_resampling(rows, slides):
    score, probability = (np.array(column) for column in zip(*rows, strict=True))
    slide = np.arange(len(score)) % slides
    candidates = table(score, probability, slide, np.ones(slides))
    chosen = choose_threshold(candidates)
    assert 0 <= chosen.value <= 1
    low, high = chosen.interval
    assert low - 1e-9 <= high
    assert chosen.scores.expected == expected_at(candidates, chosen.value)
    assert chosen.scores.f1[0] <= chosen.scores.f1[1]


def test_the_threshold_separates_and_follows_the_level_of_the_scores():
    rng = np.random.default_rng(0)
    figure = rng.random(400) < 0.2
    score = np.where(figure, rng.normal(0.7, 0.08, 400), rng.normal(0.3, 0.08, 400)).clip(0, 1)
    slide = np.arange(400) % 4
    one = choose_threshold(table(score, figure, slide, np.zeros(4)))
    assert 0.4 < one.value < 0.6
    assert one.scores.expected.f1 > 0.98
    moved = choose_threshold(table(score * 0.5, figure, slide, np.zeros(4)))
    assert moved.value == pytest.approx(one.value / 2, abs=0.02)


def test_slides_that_differ_give_wide_intervals():
    rng = np.random.default_rng(1)
    figure = rng.random(300) < 0.3
    slide = np.arange(300) % 6
    spread = np.where(slide < 3, 0.05, 0.5)  # on half of the slides the scores say little
    score = (np.where(figure, 0.7, 0.3) + rng.normal(0, spread)).clip(0, 1)
    differ = scores_at(table(score, figure, slide, np.zeros(6)), 0.5)
    alike = scores_at(table(score, figure, rng.permutation(slide), np.zeros(6)), 0.5)
    assert differ.expected == alike.expected
    assert differ.f1[1] - differ.f1[0] > alike.f1[1] - alike.f1[0]
    assert differ.f1[0] <= differ.expected.f1 <= differ.f1[1]


def test_no_threshold_lies_where_nothing_was_decided():
    score = np.linspace(0.99, 0.01, 200)
    decided = score > 0.6
    probability = np.where(decided, score > 0.8, 0.6)  # extrapolated, and wrong
    candidates = table(score, probability)
    assert choose_threshold(candidates).value < 0.1
    lowest = lowest_threshold(score, decided, 0.7)
    assert 0.6 < lowest < 0.63
    assert choose_threshold(candidates, lowest=lowest).value >= 0.6
    assert lowest_threshold(score, decided, 0.4) == 0.4  # the threshold before may stay
    assert lowest_threshold(score, np.zeros(200, bool), 0.4) == 0.4


def test_few_decided_figures_move_the_threshold_little():
    rng = np.random.default_rng(0)
    figure = rng.random(400) < 0.2
    score = np.where(figure, rng.normal(0.7, 0.08, 400), rng.normal(0.3, 0.08, 400)).clip(0, 1)
    candidates = table(score, figure, np.arange(400) % 4, np.zeros(4))
    alone = choose_threshold(candidates).value
    values = [
        choose_threshold(candidates, earlier=EarlierThreshold(0.2, n)).value
        for n in (0, 5, 20, 100, 10_000)
    ]
    assert values[0] == 0.2
    assert values == sorted(values)
    assert values[1] < 0.3
    assert values[-1] == pytest.approx(alone, abs=0.01)


@pytest.mark.parametrize("value", [0.0, 1.0, 0.3])
def test_as_many_figures_as_the_prior_give_the_middle_of_the_logits(value):
    middle = EarlierThreshold(0.3, PRIOR_FIGURES).towards(value)
    ends = np.clip([0.3, value], 1e-6, 1 - 1e-6)
    assert np.log(middle / (1 - middle)) == pytest.approx(np.log(ends / (1 - ends)).mean())


def test_there_is_no_threshold_of_nothing():
    with pytest.raises(ValueError, match="no candidates"):
        choose_threshold(table([], []))
