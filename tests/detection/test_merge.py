"""The merge against its own definition, by brute force, over random points."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaphase.detection import merge as merge_module
from metaphase.detection.merge import merge


def brute_force(x, y, score, label, radius):
    """The definition: by rank, a point stays unless one that stays lies within the radius."""
    order = sorted(range(len(x)), key=lambda i: (-score[i], y[i], x[i], label[i]))
    kept: list[int] = []
    for i in order:
        if all((x[i] - x[j]) ** 2 + (y[i] - y[j]) ** 2 > radius * radius for j in kept):
            kept.append(i)
    return kept


@st.composite
def scenes(draw):
    n = draw(st.integers(0, 60))
    # Whole positions and few scores, so that ties and points exactly at the radius are common.
    whole = st.lists(st.integers(0, 40), min_size=n, max_size=n)
    scores = st.lists(st.sampled_from([0.1, 0.5, 0.5000001, 0.9]), min_size=n, max_size=n)
    labels = st.lists(st.integers(0, 1), min_size=n, max_size=n)
    x, y, s, c = draw(whole), draw(whole), draw(scores), draw(labels)
    radius = draw(st.sampled_from([1.0, 5.0, 7.3, 100.0]))
    return np.array(x, float), np.array(y, float), np.array(s), np.array(c, int), radius


def rows(scene, kept):
    x, y, s, c, _ = scene
    return [(x[i], y[i], s[i], c[i]) for i in kept]


@given(scenes(), st.sampled_from([2, 30, 4_000_000]))
def test_equals_the_definition(scene, max_pairs):
    whole, merge_module._MAX_PAIRS = merge_module._MAX_PAIRS, max_pairs
    try:
        kept = merge(*scene)
    finally:
        merge_module._MAX_PAIRS = whole
    assert rows(scene, kept) == rows(scene, brute_force(*scene))


@given(scenes())
def test_is_idempotent(scene):
    x, y, s, c, radius = scene
    kept = merge(*scene)
    again = merge(x[kept], y[kept], s[kept], c[kept], radius)
    assert again.tolist() == list(range(len(kept)))


@given(scenes(), st.randoms(use_true_random=False))
def test_does_not_depend_on_the_order_of_the_input(scene, random):
    x, y, s, c, radius = scene
    shuffle = list(range(len(x)))
    random.shuffle(shuffle)
    shuffled = (x[shuffle], y[shuffle], s[shuffle], c[shuffle], radius)
    assert rows(shuffled, merge(*shuffled)) == rows(scene, merge(*scene))


def test_labels_compete_and_the_better_score_wins():
    kept = merge([10, 12, 200], [10, 10, 10], [0.6, 0.7, 0.1], [0, 1, 0], 5)
    assert kept.tolist() == [1, 2]


def test_a_dropped_point_drops_nobody():
    kept = merge([0, 4, 8], [0, 0, 0], [0.9, 0.8, 0.7], [0, 0, 0], 5)
    assert kept.tolist() == [0, 2]


def test_nothing_merges_to_nothing():
    assert merge([], [], [], [], 5).tolist() == []


def test_refuses_a_radius_that_is_not_positive():
    for radius in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="radius"):
            merge([1], [1], [1], [0], radius)


@pytest.mark.parametrize("side", [100_000, 3_000, 0], ids=["sparse", "dense", "one place"])
def test_a_hundred_thousand_points_take_well_under_a_second(side):
    random = np.random.default_rng(0)
    n = 100_000
    x, y, score = random.uniform(0, side, n), random.uniform(0, side, n), random.random(n)
    merge([0, 1], [0, 1], [1, 1], [0, 0], 1)  # imports
    started = time.process_time()
    merge(x, y, score, np.zeros(n), 30)
    assert time.process_time() - started < 3  # measured 0.1 to 0.7 s; slack for a busy machine


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_equals_the_definition_on_real_positions(seed):
    random = np.random.default_rng(seed)
    scene = (*random.uniform(0, 300, (2, 200)), random.random(200), random.integers(0, 2, 200), 30)
    assert merge(*scene).tolist() == brute_force(*scene)
