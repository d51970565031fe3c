import json

import pytest

from metaphase.evaluation.curves import Counts
from metaphase.evaluation.evaluate import evaluate
from metaphase.evaluation.intervals import with_intervals
from metaphase.figures import Detections
from metaphase.labels.dataset import Dataset
from tests.evaluation.scenes import case, found, random_scene


def test_domains_and_the_worst_of_them():
    dataset = Dataset(
        [
            case("a", [(100, 100)], scanner="A"),
            case("b", [(100, 100), (500, 500)], scanner="B"),
            case("c", scanner="C"),
        ]
    )
    detections = {
        "a": found("a", [(100, 100)], [0.9]),
        "b": found("b", [(100, 100)], [0.9]),
        "c": found("c"),
    }
    scores = evaluate(detections, dataset)
    assert list(scores.domains) == ["scanner"]
    worst = scores.worst["scanner"]
    assert (worst.domain, worst.f1) == ("B", pytest.approx(2 / 3))
    assert worst.mean_f1 == pytest.approx((1 + 2 / 3) / 2)
    assert worst.without_f1 == ("C",)
    total = sum((g.counts for g in scores.domains["scanner"].values()), Counts())
    assert total == scores.overall.counts


def test_shared_groups_are_a_domain():
    dataset = Dataset([case("a", group="s1"), case("b", group="s1"), case("c", group="s2")])
    scores = evaluate({k: found(k) for k in "abc"}, dataset)
    assert {name: group.cases for name, group in scores.domains["group"].items()} == {
        "s1": 2,
        "s2": 1,
    }


def test_empty_detections_everywhere():
    dataset, detections = random_scene(2)
    none = {k: Detections.empty(v.provenance) for k, v in detections.items()}
    scores = evaluate(none, dataset)
    assert (scores.f1, scores.precision, scores.recall) == (0, None, 0)
    assert scores.average_precision == 0
    assert scores.calibration.ece is None
    assert json.dumps(scores.to_dict(), allow_nan=False)
    assert with_intervals(scores, resamples=50).overall.intervals["precision"].low is None
