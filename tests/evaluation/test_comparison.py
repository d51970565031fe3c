import numpy as np
import pytest

from metaphase.errors import InputError
from metaphase.evaluation.comparison import compare
from metaphase.evaluation.evaluate import evaluate
from metaphase.evaluation.intervals import with_intervals
from metaphase.labels.dataset import Dataset
from tests.evaluation.scenes import case, found, random_scene


def test_a_model_does_not_differ_from_itself():
    dataset, detections = random_scene(6, cases=20)
    scores = evaluate(detections, dataset)
    for difference in compare(scores, scores, resamples=100).values():
        assert difference.difference == 0
        assert (difference.interval.low, difference.interval.high) == (0, 0)
        assert difference.share_better == 0


def test_pairing_sees_a_small_steady_difference():
    dataset, detections = random_scene(6, cases=40)
    # The second detector is the first without every tenth detection that is right.
    worse = {k: v.where(np.arange(len(v)) % 10 != 0) for k, v in detections.items()}
    first, second = evaluate(detections, dataset), evaluate(worse, dataset)
    difference = compare(first, second, resamples=500)["recall"]
    assert difference.difference == pytest.approx(second.recall - first.recall)
    assert difference.interval.high < 0
    alone = with_intervals(first, resamples=500).overall.intervals["recall"]
    assert difference.interval.high - difference.interval.low < alone.high - alone.low


def test_only_like_is_compared_with_like():
    dataset, detections = random_scene(6)
    scores = evaluate(detections, dataset)
    with pytest.raises(InputError, match="different ways"):
        compare(scores, evaluate(detections, dataset, rule="optimal"))
    with pytest.raises(InputError, match="different cases"):
        compare(scores, evaluate(detections, dataset.select(dataset.ids[:5])))
    moved = Dataset([case("a", [(9, 9)])])
    other = Dataset([case("a", [(9, 9), (99, 99)])])
    with pytest.raises(InputError, match="another number"):
        compare(evaluate({"a": found("a")}, moved), evaluate({"a": found("a")}, other))
