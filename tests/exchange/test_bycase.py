"""Detections of other tools by the cases of a data set."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from metaphase.detectionfile import save_detections
from metaphase.errors import DetectionsError
from metaphase.exchange import coco
from metaphase.exchange.bycase import detections_by_case, is_own, needs_truth, uses_truth
from metaphase.labels.dataset import Case, Dataset
from tests.evaluation.scenes import found


@pytest.fixture
def dataset(tmp_path):
    """Cases named otherwise than their images."""
    return Dataset(
        Case(name, image=tmp_path / f"{name}-scan.tiff", mpp=mpp, width_px=400, height_px=300)
        for name, mpp in (("a", 0.25), ("b", 0.5))
    )


def csv_file(path, *rows):
    path.write_text("\n".join(("image,x,y,probability", *rows)) + "\n")
    return path


def test_images_are_known_by_case_or_file_name(tmp_path, dataset):
    path = csv_file(tmp_path / "d.csv", "a,1,2,0.5", "b-scan.tiff,3,4,0.5", "other.png,5,6,0.5")
    read = detections_by_case(path, dataset)
    assert {name: one.points.tolist() for name, one in read.items()} == {
        "a": [[1, 2]],
        "b": [[3, 4]],
    }
    assert [one.provenance.mpp for one in read.values()] == [0.25, 0.5]
    assert read["a"].provenance.width_px == 400


def test_cases_that_are_not_named_are_empty_where_that_is_said(tmp_path, dataset):
    path = csv_file(tmp_path / "d.csv", "a,1,2,0.5")
    assert list(detections_by_case(path, dataset)) == ["a"]
    read = detections_by_case(path, dataset, empty=True)
    assert [(name, len(one)) for name, one in read.items()] == [("a", 1), ("b", 0)]
    made = read["b"].provenance
    assert (made.image, made.mpp, made.width_px) == ("b-scan.tiff", 0.5, 400)
    assert made.parameters.not_named is True


def test_resolution_and_size_come_from_the_image_where_the_labels_lack_them(tmp_path):
    Image.new("RGB", (60, 50)).save(tmp_path / "a.png", dpi=(50_800, 50_800))  # 0.5 um/px
    path = csv_file(tmp_path / "d.csv", "a,1,2,0.5")
    dataset = Dataset([Case("a", image=tmp_path / "a.png", mpp=0.5)])
    made = detections_by_case(path, dataset)["a"].provenance
    assert (made.mpp, made.width_px, made.height_px) == (0.5, 60, 50)


def test_an_unknown_resolution_can_be_given(tmp_path):
    dataset = Dataset([Case("a"), Case("b")])
    path = csv_file(tmp_path / "d.csv", "a,1,2,0.5")
    with pytest.raises(DetectionsError, match="--mpp"):
        detections_by_case(path, dataset, empty=True)
    read = detections_by_case(path, dataset, mpp=0.3, empty=True)
    assert [one.provenance.mpp for one in read.values()] == [0.3, 0.3]


def test_a_file_of_other_images_is_an_error_that_names_both(tmp_path, dataset):
    path = csv_file(tmp_path / "d.csv", *(f"x{i},1,2,0.5" for i in range(7)))
    with pytest.raises(DetectionsError, match=r"names x0, x1, x2, x3, x4, \.\.\., they a, b"):
        detections_by_case(path, dataset)


def test_two_images_of_one_case_are_an_error(tmp_path, dataset):
    path = csv_file(tmp_path / "d.csv", "a,1,2,0.5", "a-scan.tiff,3,4,0.5")
    with pytest.raises(DetectionsError, match="is a second image of case a"):
        detections_by_case(path, dataset)


def test_other_files_need_no_truth(tmp_path):
    coco.write({"a": found("a", [(3, 4)], [0.5])}, tmp_path / "d.json")
    assert not needs_truth(tmp_path / "d.json")
    assert not needs_truth(tmp_path)
    assert not needs_truth(csv_file(tmp_path / "d.csv"))
    (tmp_path / "wrong.json").write_text(json.dumps({"a": 1}))
    with pytest.raises(DetectionsError, match="not a file of detections"):
        needs_truth(tmp_path / "wrong.json")


def test_folders_that_detect_wrote_are_recognised(tmp_path):
    assert not is_own(tmp_path)
    save_detections(found("a", [(3, 4)], [0.5]), tmp_path / "found" / "a")
    assert is_own(tmp_path)
    assert is_own(tmp_path / "found" / "a")
    assert not is_own(tmp_path / "found" / "a" / "detections.json")


def test_what_may_use_a_file_with_the_names_of_images(tmp_path):
    (tmp_path / "others").mkdir()
    bare = tmp_path / "others" / "results.json"
    bare.write_text(json.dumps([{"image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9]}]))
    save_detections(found("a", [(1, 2)], [0.5]), tmp_path / "own" / "a")
    assert uses_truth(bare)
    assert uses_truth(tmp_path / "others")
    assert not uses_truth(tmp_path / "own")
    assert not uses_truth(csv_file(tmp_path / "d.csv", "a,1,2,0.5"))
