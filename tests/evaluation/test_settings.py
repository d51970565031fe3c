import pytest

from metaphase.errors import InputError
from metaphase.evaluation.evaluate import evaluate
from metaphase.evaluation.settings import EvaluationSettings
from metaphase.evaluation.thresholds import bagged_threshold
from tests.evaluation.scenes import random_scene


@pytest.fixture(scope="module")
def scene():
    return random_scene(3)


def test_settings_score_as_the_functions_do(scene):
    dataset, detections = scene
    settings = EvaluationSettings(threshold=0.4, rule="optimal", radius_um=5.0, resamples=0)
    scores = settings.score(detections, dataset, ["a note"])
    plain = evaluate(detections, dataset, threshold=0.4, rule="optimal", radius_um=5.0)
    assert scores.overall == plain.overall
    assert scores.notes == (*plain.notes, "a note")
    assert scores.overall.intervals == {}


def test_intervals_and_comparisons_use_the_same_resamples(scene):
    dataset, detections = scene
    settings = EvaluationSettings(threshold=0.4, resamples=40, method="percentile")
    scores = settings.score(detections, dataset)
    assert scores.overall.intervals["f1"].resamples == 40
    assert scores.overall.intervals["f1"].method == "percentile"
    same = settings.compare(scores, scores)["f1"]
    assert (same.difference, same.interval.resamples) == (0.0, 40)


def test_the_threshold_is_the_bagged_one(scene):
    dataset, detections = scene
    assert EvaluationSettings().choose_threshold(detections, dataset) == bagged_threshold(
        detections, dataset
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"radius_um": float("nan")},
        {"radius_um": float("inf")},
        {"radius_um": 0.0},
        {"threshold": float("nan")},
        {"threshold": 1.5},
        {"resamples": -1},
        {"resamples": 10**12},
    ],
)
def test_values_out_of_range_are_refused(wrong):
    with pytest.raises(InputError, match="evaluation"):
        EvaluationSettings(**wrong)
