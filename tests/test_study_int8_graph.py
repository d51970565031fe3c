"""What 8 bits cost: the mean F1 around the frozen threshold."""

from __future__ import annotations

import pytest
from studies import int8_graph as study

from metaphase.figures import Detections
from metaphase.labels.dataset import Case, Dataset
from metaphase.provenance import Provenance
from tests.training.helpers import figure

FIELDS = Dataset([Case("a", mpp=0.25, figures=(figure(0, 50, 50),), width_px=900, height_px=900)])


def found(*scores: float) -> dict[str, Detections]:
    made = Provenance(image="a", width_px=900, height_px=900, mpp=0.25)
    points = [50.0 + 200 * number for number in range(len(scores))]
    return {"a": Detections(points, points, scores, provenance=made)}


def test_a_score_that_passes_the_threshold_by_little_changes_the_mean_by_little() -> None:
    below, above = (study.mean_f1(found(0.9, score), FIELDS, 0.2) for score in (0.199, 0.201))
    assert 1.0 > below > above > below - 0.05
    assert study.at(found(0.9), 0.2)["a"].provenance.threshold == 0.2


def test_the_mean_is_that_of_thresholds_from_half_to_twice() -> None:
    assert study.mean_f1(found(0.41), FIELDS, 0.2) == 1.0
    assert study.mean_f1(found(0.099), FIELDS, 0.2) == 0.0
    assert study.mean_f1(found(0.2), FIELDS, 0.2) == pytest.approx(5 / 9)
    assert study.mean_f1(found(0.99), FIELDS, 0.9) == pytest.approx(8 / 9)  # at most 1


def test_the_loss_is_that_of_the_worst_fields() -> None:
    results = {
        name: {"fp32": {"mean_f1": 0.6}, "int8": {"mean_f1": value}}
        for name, value in (("one", 0.65), ("two", 0.59))
    }
    assert study.loss(results) == pytest.approx(-0.01)
