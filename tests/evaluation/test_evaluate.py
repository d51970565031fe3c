import io
import json
from pathlib import Path

import numpy as np
import pytest

from metaphase.detectionfile import save_detections
from metaphase.errors import DetectionsError, InputError, LabelError
from metaphase.evaluation.curves import Counts
from metaphase.evaluation.evaluate import evaluate
from metaphase.evaluation.intervals import with_intervals
from metaphase.evaluation.matching import RULES
from metaphase.evaluation.scoresfile import load_scores, save_scores
from metaphase.evaluation.tables import print_scores, summary_lines
from metaphase.figures import Detections
from metaphase.labels.dataset import Case, Dataset
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


def test_the_radius_is_in_micrometres_at_each_cases_own_resolution():
    dataset = Dataset([case("a", [(100, 100)]), case("b", [(100, 100)])])
    detections = {
        "a": found("a", [(129, 100)], [0.9], mpp=0.25),  # 7.25 um
        "b": found("b", [(129, 100)], [0.9], mpp=0.27),  # 7.83 um
    }
    assert [c.counts.tp for c in evaluate(detections, dataset).cases] == [1, 0]


def test_hard_negatives_found_as_such_take_no_part_but_are_told():
    dataset = Dataset([case("a", [(100, 100)], [(300, 300)])])
    detections = {"a": found("a", [(100, 100), (300, 300)], [0.9, 0.9], [0, 1])}
    scores = evaluate(detections, dataset)
    assert scores.overall.counts == Counts(1, 0, 0)
    assert scores.hard_negative_class == {"detected": 1, "labelled": 1}
    assert any("hard negatives (" in line for line in summary_lines(scores))


def test_false_positives_by_what_they_lie_on():
    dataset = Dataset([case("a", [(100, 100)], [(300, 300), (1000, 1000)])])
    places = [(100, 100), (110, 100), (305, 300), (700, 700), (1000, 1001)]
    detections = {"a": found("a", places, [0.9, 0.8, 0.8, 0.7, 0.2])}
    scores = evaluate(detections, dataset)
    assert scores.overall.mistakes == {"double": 1, "hard negative": 1, "other": 1}
    assert sum(scores.overall.mistakes.values()) == scores.overall.counts.fp


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


def test_missing_is_not_zero():
    dataset = Dataset([case("a", [(9, 9)]), case("b", [(9, 9)])])
    with pytest.raises(DetectionsError, match="case b: has no detections"):
        evaluate({"a": found("a")}, dataset)
    scores = evaluate({"a": found("a")}, dataset, allow_missing=True)
    assert scores.overall.counts.fn == 1
    assert "left out: b" in scores.notes[0]
    with pytest.raises(DetectionsError):
        evaluate({}, dataset, allow_missing=True)


def test_unlabelled_is_refused():
    dataset = Dataset([case("a"), Case("u", labelled=False)])
    with pytest.raises(LabelError, match="case u: is unlabelled"):
        evaluate({"a": found("a"), "u": found("u")}, dataset)
    with pytest.raises(LabelError, match="no cases"):
        evaluate({}, Dataset([]))


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


def test_only_the_region_that_was_looked_at_is_scored():
    dataset = Dataset([case("a", [(100, 100), (3000, 3000)])])
    detections = {"a": found("a", [(100, 100)], [0.9], region=[-500, -500, 1500, 2500])}
    scores = evaluate(detections, dataset)
    assert scores.overall.counts == Counts(1, 0, 0)
    assert scores.overall.area_mm2 == pytest.approx(1000 * 2000 * 0.25**2 * 1e-6)
    assert any("in part" in note for note in scores.notes)


def test_notes_on_outlines_resolution_and_empty_truth():
    dataset = Dataset([case("a", mpp=0.5)])
    notes = " ".join(evaluate({"a": found("a", roi_sha256="x")}, dataset).notes)
    assert "outline" in notes
    assert "mpp" in notes
    assert "no mitotic figures" in notes


@pytest.mark.parametrize("place", ["a", "a.tiff", "slides/deep/a", "elsewhere"])
def test_a_folder_of_detections_is_matched_to_cases(tmp_path, place):
    image = "a.tiff" if place == "elsewhere" else "other.tiff"
    made = found("a", [(9, 9)], [0.9]).with_provenance(image=image)
    save_detections(made, tmp_path / place)
    save_detections(found("stranger"), tmp_path / "stranger")
    dataset = Dataset([case("a", [(9, 9)], image=Path("images/a.tiff"))])
    assert evaluate(tmp_path, dataset).overall.counts == Counts(1, 0, 0)


def test_ids_with_a_prefix_are_folders(tmp_path):
    dataset = Dataset([case("x/a", [(9, 9)]), case("y/a")])
    save_detections(found("a", [(9, 9)], [0.9]), tmp_path / "x" / "a")
    save_detections(found("a"), tmp_path / "y" / "a")
    assert evaluate(tmp_path, dataset).overall.counts == Counts(1, 0, 0)


def test_two_folders_for_a_case_are_refused(tmp_path):
    for name in ("one", "two"):
        save_detections(found("a"), tmp_path / name)
    with pytest.raises(DetectionsError, match="case a has detections here and in"):
        evaluate(tmp_path, Dataset([case("a", image=Path("a.tiff"))]))
    with pytest.raises(DetectionsError, match="no such folder"):
        evaluate(tmp_path / "none", Dataset([case("a")]))


@pytest.mark.parametrize("rule", RULES)
def test_curves_agree_with_scoring_anew(rule):
    dataset, detections = random_scene(1)
    scores = evaluate(detections, dataset, rule=rule)
    for threshold in (0.1, 0.33, 0.5, 0.87):
        anew = evaluate(detections, dataset, rule=rule, threshold=threshold)
        assert scores.curve.at(threshold) == anew.overall.counts


def test_empty_detections_everywhere():
    dataset, detections = random_scene(2)
    none = {k: Detections.empty(v.provenance) for k, v in detections.items()}
    scores = evaluate(none, dataset)
    assert (scores.f1, scores.precision, scores.recall) == (0, None, 0)
    assert scores.average_precision == 0
    assert scores.calibration.ece is None
    assert json.dumps(scores.to_dict(), allow_nan=False)
    assert with_intervals(scores, resamples=50).overall.intervals["precision"].low is None


def test_the_exercise_is_told_beside_and_flatters():
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


def test_tables_show_what_has_no_value_as_a_dash():
    from rich.console import Console

    dataset = Dataset([case("a", scanner="A"), case("b", [(9, 9)], scanner="B")])
    scores = evaluate({"a": found("a"), "b": found("b")}, dataset, protocol="exercise")
    console = Console(width=80, file=io.StringIO())
    print_scores(scores, console, per_case=True)
    text = console.file.getvalue()
    precision = next(line for line in text.splitlines() if line.startswith("  precision"))
    assert precision.split()[1] == "-"
    assert "not comparable" in text
    assert "By scanner" in text
    assert "By case" in text
