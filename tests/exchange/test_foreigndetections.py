import json

import pytest

from metaphase.detectionfile import save_detections
from metaphase.errors import InputError
from metaphase.evaluation.evaluate import evaluate
from metaphase.exchange.foreigndetections import ForeignDetections, merged, notes_on
from metaphase.labels.read import load_dataset
from tests.evaluation.scenes import found

LABELS = "case,x_px,y_px\na,100,100\na,500,500\n"
ROWS = "image,x,y,score\na,100,100,0.9\na,104,100,0.8\na,100,110,0.7\na,500,500,0.6\n"


@pytest.fixture
def labels(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text(LABELS)
    return path


def test_detections_without_suppression_are_merged_before_scoring(labels, tmp_path):
    path = tmp_path / "theirs.csv"
    path.write_text(ROWS)
    dataset = load_dataset(labels)
    raw = ForeignDetections(labels, mpp=0.25).load(path, dataset)
    assert evaluate(raw, dataset).overall.counts.fp == 2
    suppressed = ForeignDetections(labels, mpp=0.25, merge_radius_um=7.5).load(path, dataset)
    scores = evaluate(suppressed, dataset)
    assert (scores.overall.counts.tp, scores.overall.counts.fp) == (2, 0)
    assert any("2 detections within 7.5 um" in note for note in notes_on(suppressed, None))
    assert not any("merged" in note for note in notes_on(raw, None))


def test_merging_keeps_the_highest_score_and_records_what_it_dropped():
    detections = found("a", [(0, 0), (10, 0), (100, 0)], [0.5, 0.9, 0.4])
    kept = merged(detections, 7.5)
    assert kept.score.tolist() == [0.9, 0.4]
    assert kept.provenance.parameters.merged == 1
    assert merged(kept, 7.5).provenance.parameters.merged == 0


@pytest.mark.parametrize("radius", [0.0, -1.0, float("nan"), float("inf")])
def test_a_merge_radius_must_be_positive(labels, radius):
    with pytest.raises(InputError, match="merge radius"):
        ForeignDetections(labels, merge_radius_um=radius)


def test_own_folders_are_left_to_the_evaluation_unless_they_are_to_be_merged(labels, tmp_path):
    folder = tmp_path / "found"
    save_detections(found("a", [(100, 100), (104, 100)], [0.9, 0.8]), folder / "a")
    dataset = load_dataset(labels)
    assert ForeignDetections(labels).load(folder, dataset) == folder
    assert notes_on(folder, None) == ()
    by_case = ForeignDetections(labels, merge_radius_um=7.5).load(folder, dataset)
    assert len(by_case["a"]) == 1


def test_bare_coco_results_use_the_ids_of_the_labels(tmp_path):
    truth = tmp_path / "truth.json"
    image = {"id": 7, "file_name": "a.tiff", "width": 600, "height": 600}
    box = {"id": 1, "image_id": 7, "category_id": 1, "bbox": [75, 75, 50, 50]}
    category = {"id": 1, "name": "mitotic figure"}
    truth.write_text(
        json.dumps({"images": [image], "annotations": [box], "categories": [category]})
    )
    results = tmp_path / "results.json"
    results.write_text(
        json.dumps([{"image_id": 7, "category_id": 1, "bbox": [75, 75, 50, 50], "score": 0.9}])
    )
    dataset = load_dataset(truth, mpp=0.25)
    by_case = ForeignDetections(truth, mpp=0.25).load(results, dataset)
    assert [len(one) for one in by_case.values()] == [1]
