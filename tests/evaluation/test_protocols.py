import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from metaphase.evaluation.evaluate import evaluate
from metaphase.evaluation.protocols import (
    FIGURE_PX,
    PATCH_PX,
    RANDOM_PATCHES,
    covered_px,
    exercise_patches,
)
from metaphase.labels.dataset import Dataset
from tests.evaluation.scenes import case, found, random_scene


@given(
    places=st.lists(st.tuples(st.floats(0, 3000), st.floats(0, 2000)), max_size=5),
    seed=st.integers(0, 50),
)
@settings(max_examples=60, deadline=None)
def test_patches_lie_in_the_image_and_hold_their_figure(places, seed):
    corners = exercise_patches(np.reshape(places, (-1, 2)), 3000, 2000, seed)
    assert len(corners) == 2 * len(places) + RANDOM_PATCHES
    assert (corners >= 0).all()
    assert (corners <= [3000 - PATCH_PX, 2000 - PATCH_PX]).all()
    for place, corner in zip(np.repeat(places, 2, axis=0), corners, strict=False):
        inside = np.clip(place, FIGURE_PX / 2, [3000 - FIGURE_PX / 2, 2000 - FIGURE_PX / 2])
        assert (inside - FIGURE_PX / 2 >= corner - 1).all()
        assert (inside + FIGURE_PX / 2 <= corner + PATCH_PX + 1).all()


@given(
    corners=st.lists(st.tuples(st.integers(0, 900), st.integers(0, 700)), max_size=6),
)
@settings(max_examples=60, deadline=None)
def test_the_covered_area_is_that_of_the_painted_patches(corners):
    painted = np.zeros((800, 1000), bool)
    for x, y in corners:
        painted[y : y + PATCH_PX, x : x + PATCH_PX] = True
    assert covered_px(np.reshape(corners, (-1, 2)).astype(float), 1000, 800) == painted.sum()


def test_an_image_smaller_than_a_patch_is_one_patch():
    assert (exercise_patches(np.array([[10.0, 10.0]]), 300, 200) == 0).all()


def test_the_seed_and_the_case_decide_the_patches():
    dataset, detections = random_scene(3)
    one = evaluate(detections, dataset, protocol="exercise").exercise
    assert one == evaluate(detections, dataset, protocol="exercise").exercise
    assert one != evaluate(detections, dataset, protocol="exercise", seed=1).exercise
    few = dataset.select(dataset.ids[:4])
    alone = [
        evaluate(detections, dataset.select([name]), protocol="exercise").exercise.counts.tp
        for name in few.ids
    ]
    assert evaluate(detections, few, protocol="exercise").exercise.counts.tp == sum(alone)


def test_every_figure_has_two_patches_and_distant_mistakes_have_none():
    dataset = Dataset([case("a", [(2000, 2000)])])
    rng = np.random.default_rng(0)
    wrong = rng.uniform(0, 4000, (400, 2))
    detections = {"a": found("a", [(2000, 2000), *wrong], [0.9] * 401)}
    scores = evaluate(detections, dataset, protocol="exercise")
    exercise = scores.exercise
    assert exercise.counts.tp >= 2
    assert exercise.counts.fn == 0
    assert 0.05 < exercise.share < 0.25
    assert exercise.to_dict()["patches"] == 2 + RANDOM_PATCHES
