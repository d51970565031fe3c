import unicodedata
from pathlib import Path

import pytest

from metaphase.detectionfile import save_detections
from metaphase.errors import DetectionsError, LabelError
from metaphase.evaluation.curves import Counts
from metaphase.evaluation.evaluate import evaluate
from metaphase.evaluation.pairing import load_folder
from metaphase.figures import Detections
from metaphase.labels.dataset import Case, Dataset
from metaphase.provenance import Provenance
from tests.evaluation.scenes import case, found


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


def test_only_the_analysed_region_is_scored():
    dataset = Dataset([case("a", [(100, 100), (3000, 3000)])])
    detections = {"a": found("a", [(100, 100)], [0.9], region=[-500, -500, 1500, 2500])}
    scores = evaluate(detections, dataset)
    assert scores.overall.counts == Counts(1, 0, 0)
    assert scores.overall.area_mm2 == pytest.approx(1000 * 2000 * 0.25**2 * 1e-6)
    assert any("in part" in note for note in scores.notes)


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


def test_names_are_compared_in_composed_form(tmp_path):

    name = unicodedata.normalize("NFD", "Grün")
    one = Detections([1], [2], [0.5], provenance=Provenance(f"{name}.tif", 90, 80, 0.25))
    save_detections(one, tmp_path / name)
    assert list(load_folder(tmp_path, Dataset([Case("Grün")]))) == ["Grün"]
