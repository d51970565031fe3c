import numpy as np
import pytest

from metaphase.errors import InputError
from metaphase.evaluation.curves import Counts
from metaphase.evaluation.evaluate import evaluate
from metaphase.evaluation.intervals import with_intervals
from metaphase.evaluation.matching import RULES
from metaphase.evaluation.scoresfile import load_scores, save_scores
from metaphase.labels.dataset import Dataset
from tests.evaluation.scenes import case, found, random_scene


def test_counts_are_pooled_over_cases():
    dataset = Dataset(
        [case("a", [(100, 100), (500, 500)]), case("b", [(100, 100)]), case("c")], name="d"
    )
    detections = {
        "a": found("a", [(102, 100), (900, 900)], [0.9, 0.8]),
        "b": found("b", [(100, 100)], [0.3]),
        "c": found("c", [(5, 5)], [0.6]),
    }
    scores = evaluate(detections, dataset)
    assert scores.overall.counts == Counts(1, 2, 2)
    assert [c.counts for c in scores.cases] == [Counts(1, 1, 1), Counts(0, 0, 1), Counts(0, 1, 0)]
    assert scores.cases[2].counts.recall is None
    assert evaluate(detections, dataset, threshold=0.2).overall.counts == Counts(2, 2, 1)


def test_each_case_at_its_own_threshold():
    dataset = Dataset([case("a", [(9, 9)]), case("b", [(9, 9)])])
    detections = {
        "a": found("a", [(9, 9)], [0.4], threshold=0.3),
        "b": found("b", [(9, 9)], [0.4], threshold=0.5),
    }
    scores = evaluate(detections, dataset)
    assert scores.threshold is None
    assert [c.counts.tp for c in scores.cases] == [1, 0]
    assert any("2 thresholds" in note for note in scores.notes)


def test_notes_on_outlines_resolution_and_empty_truth():
    dataset = Dataset([case("a", mpp=0.5)])
    notes = " ".join(evaluate({"a": found("a", roi_sha256="x")}, dataset).notes)
    assert "region of interest" in notes
    assert "resolution" in notes
    assert "no mitotic figures" in notes


@pytest.mark.parametrize("rule", RULES)
def test_curves_agree_with_scoring_at_each_threshold(rule):
    dataset, detections = random_scene(1)
    scores = evaluate(detections, dataset, rule=rule)
    for threshold in (0.1, 0.33, 0.5, 0.87):
        anew = evaluate(detections, dataset, rule=rule, threshold=threshold)
        assert scores.curve.at(threshold) == anew.overall.counts


def test_the_exercise_is_scored_separately_with_a_higher_precision():
    dataset, detections = random_scene(3, cases=30)
    plain = evaluate(detections, dataset, threshold=0.3)
    beside = evaluate(detections, dataset, threshold=0.3, protocol="exercise")
    assert plain.exercise is None
    assert beside.overall == plain.overall
    assert beside.exercise.counts.precision > plain.precision
    assert 0 < beside.exercise.share < 1
    with pytest.raises(ValueError, match="exercise"):
        evaluate(detections, dataset, protocol="half")  # type: ignore[arg-type]


def test_scores_survive_their_file(tmp_path):
    dataset, detections = random_scene(5)
    detections = {k: v.rounded() for k, v in detections.items()}
    scores = with_intervals(evaluate(detections, dataset, protocol="exercise"), resamples=40)
    save_scores(scores, tmp_path / "s.json", comparisons=[])
    again = load_scores(tmp_path / "s.json")
    assert again.to_dict() == scores.to_dict()
    assert again.cases == scores.cases
    assert np.array_equal(again.curve.tp, scores.curve.tp)
    for one, other in zip(again.outcomes, scores.outcomes, strict=True):
        assert np.array_equal(one.above_threshold, other.above_threshold)
        assert np.array_equal(one.detected, other.detected)
        assert np.allclose(one.points, other.points, atol=0.006)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1, "outcomes": [{}]}'])
def test_other_files_are_no_scores(tmp_path, text):
    path = tmp_path / "s.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"s\.json"):
        load_scores(path)
    with pytest.raises(InputError):
        load_scores(tmp_path / "none.json")


def test_images_unlike_the_training_images_are_noted():
    def shift(ratio):
        return {
            "ratio": ratio,
            "component": "stain",
            "nearest": "S1",
            "training_images": 28,
            "shifted": ratio > 1,
        }

    dataset = Dataset([case(name, [(9, 9)]) for name in "abc"])
    ratios = {"a": 0.4, "b": 1.5, "c": 6.25}
    detections = {name: found(name, domain_shift=shift(r)) for name, r in ratios.items()}
    (note,) = [note for note in evaluate(detections, dataset).notes if "training images" in note]
    assert note.startswith("2 of 3 images differ")
    assert "up to 6.2" in note
    assert note.endswith(": c, b.")
    usual = evaluate({name: found(name) for name in "abc"}, dataset).notes
    assert not any("training images" in note for note in usual)
