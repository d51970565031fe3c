"""Precision and recall belong to a threshold."""

from __future__ import annotations

import json

import numpy as np
import pytest

from metaphase.counting.interval import Validation
from metaphase.counting.validation import read_validation, validation_of
from metaphase.errors import InputError
from metaphase.evaluation.evaluate import evaluate
from metaphase.evaluation.scoresfile import save_scores
from metaphase.figures import Detections, Figure
from metaphase.labels.dataset import Case, Dataset
from metaphase.provenance import Provenance


def test_three_numbers_hold_wherever_a_person_says_so():
    known = read_validation("80,20,25")
    assert known.at(0.1) == known.at(0.9) == Validation(80, 20, 25)


def test_an_evaluation_knows_every_threshold(tmp_path):
    n = 40
    x = np.arange(n) * 200.0 + 100
    score = np.linspace(0.1, 0.9, n)
    truth = [Figure(str(i), x[i], 100.0) for i in range(0, n, 2)]  # every second one is true
    made = Provenance("a.tiff", 9000, 400, 0.25, threshold=0.5)
    found = {"a": Detections(x, np.full(n, 100.0), score, provenance=made)}
    dataset = Dataset([Case("a", mpp=0.25, figures=tuple(truth), width_px=9000, height_px=400)])
    save_scores(evaluate(found, dataset, threshold=0.5), tmp_path / "e.json")
    known = read_validation(str(tmp_path / "e.json"))
    for threshold in (0.05, 0.5, score[7], 0.8):
        scored = evaluate(found, dataset, threshold=threshold).overall.counts
        assert known.at(threshold) == Validation(scored.tp, scored.fp, scored.fn)
    assert known.at(0.95) is None


def test_other_json_is_known_at_its_own_threshold(tmp_path):
    path = tmp_path / "s.json"
    path.write_text(json.dumps({"threshold": 0.4, "overall": {"tp": 5, "fp": 1, "fn": 2}}))
    assert read_validation(str(path)).at(0.4) == Validation(5, 1, 2)
    assert read_validation(str(path)).at(0.5) is None


def test_a_model_file_has_its_own_validation(tmp_path):
    card = {
        "network": "compact",
        "threshold": {"value": 0.42},
        "scores": {"validation": {"overall": {"tp": 5, "fp": 1, "fn": 2}}},
    }
    (tmp_path / "card.json").write_text(json.dumps(card))
    for source in (tmp_path, tmp_path / "card.json"):
        assert read_validation(str(source)).at(0.42) == Validation(5, 1, 2)
        assert (
            read_validation(str(source)).at(0.42).source.startswith(f"of the model {tmp_path.name}")
        )
        assert read_validation(str(source)).at(0.43) is None


@pytest.mark.parametrize(
    "source",
    ["1,2", "a,b,c", "0,0,0", "", "nowhere.json", "9" * 400 + ",1,1", "1,1,-1", "\0", "n" * 5000],
)
def test_values_without_counts_are_refused(source):
    with pytest.raises(InputError):
        read_validation(source)


def test_a_file_of_something_else_is_refused(tmp_path):
    for i, text in enumerate(["{}", "[1]", "{", '{"overall": {}}', '{"network": 1}']):
        path = tmp_path / f"{i}.json"
        path.write_text(text)
        with pytest.raises(InputError):
            read_validation(str(path))


def test_detections_hold_the_validation_of_their_model():
    counts = {"threshold": 0.4, "tp": 8, "fp": 2, "fn": 1}
    made = Provenance("a", 1, 1, 1, parameters={"validation": counts})
    assert validation_of(made).at(0.4) == Validation(8, 2, 1)
    assert (
        validation_of(made).at(0.4).source == "of the model of the detections: its own validation"
    )
    counts["protocol"] = "leave one slide out"
    made = Provenance("a", 1, 1, 1, parameters={"validation": counts})
    assert validation_of(made).at(0.4).source.endswith("leave one slide out")
    for nothing in (None, {"threshold": 0.4, "tp": 0, "fp": 0, "fn": 0}):
        made = Provenance("a", 1, 1, 1, parameters={"validation": nothing})
        assert validation_of(made) is None
