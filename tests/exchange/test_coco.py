"""COCO: files with images, and bare lists of results."""

from __future__ import annotations

import json

import pytest

from metaphase.errors import DetectionsError
from metaphase.exchange import coco
from metaphase.exchange.importedfile import ImageFacts
from metaphase.exchange.read import kind_of, read_detections
from metaphase.figures import Detections, Figure, Label
from metaphase.labels.dataset import Case, Dataset
from metaphase.labels.read import load_dataset, read_labels
from metaphase.provenance import Provenance
from tests.exchange.cocofiles import write_ground_truth, write_results


def records(error):
    return [problem.record for problem in error.value.problems]


def coco_file(path, **changes):
    data = {
        "images": [{"id": 1, "file_name": "a.tiff"}],
        "categories": [{"id": 1, "name": "mitotic figure"}, {"id": 9, "name": "cat"}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 10, 10], "score": 0.5}],
    }
    path.write_text(json.dumps(data | changes))
    return path


@pytest.mark.parametrize(
    ("images", "said"),
    [
        ([{"id": 1, "file_name": "a.tiff"}, {"id": 1, "file_name": "b.tiff"}], "has the id 1"),
        ([{"id": 1, "file_name": "a.tiff"}, {"id": 2, "file_name": "a.tiff"}], "has the name"),
    ],
)
def test_images_that_cannot_be_told_apart_are_a_problem(tmp_path, images, said):
    with pytest.raises(DetectionsError, match=said):
        coco.read(coco_file(tmp_path / "a.json", images=images), ImageFacts(0.25))


@pytest.mark.parametrize(
    ("box", "said"), [([0, 0, -5, 9], "negative sides"), ([0, 0, 40000, 28000], "no single cell")]
)
def test_boxes_that_are_no_figure(tmp_path, box, said):
    row = {"image_id": 1, "category_id": 1, "bbox": box}
    with pytest.raises(DetectionsError, match=said):
        coco.read(coco_file(tmp_path / "a.json", annotations=[row]), ImageFacts(0.25))


def test_a_category_that_is_there_twice_is_a_problem(tmp_path):
    both = [{"id": 1, "name": "mitotic figure"}, {"id": 1, "name": "hard negative"}]
    path = coco_file(tmp_path / "a.json", categories=both)
    with pytest.raises(DetectionsError, match="is there twice"):
        coco.read(path, ImageFacts(0.25))
    problems = [str(problem) for problem in read_labels(path).problems]
    assert any("category 1: its id appears 2 times" in text for text in problems)


@pytest.mark.parametrize("value", [1, True, "1", [1]])
def test_a_region_of_several_objects_is_no_detection(tmp_path, value):
    row = {"image_id": 1, "category_id": 1, "bbox": [0, 0, 10, 10], "iscrowd": value}
    with pytest.raises(DetectionsError, match="iscrowd"):
        coco.read(coco_file(tmp_path / "a.json", annotations=[row]), ImageFacts(0.25))
    path = coco_file(tmp_path / "b.json", annotations=[{**row, "iscrowd": "0"}])
    assert len(coco.read(path, ImageFacts(0.25))["a"]) == 1


def test_coco_results_find_their_names_in_the_ground_truth(tmp_path):
    truth = coco_file(tmp_path / "truth.json")
    made = Provenance("a.tiff", 100, 100, 0.25)
    found = Detections([40], [50], [0.5], provenance=made)
    write_results({"a": found}, tmp_path / "r.json", {"a": 1})
    assert kind_of(tmp_path / "r.json") == "coco"
    ((name, some),) = read_detections(tmp_path / "r.json", mpp=0.25, truth=truth).items()
    assert (name, some.points.tolist()) == ("a", [[40, 50]])
    assert list(read_detections(tmp_path / "r.json", mpp=0.25)) == ["1"]


def test_coco_names_every_bad_annotation(tmp_path):
    good = {"image_id": 1, "category_id": 1, "bbox": [0, 0, 10, 10]}
    bad = [
        good | {"bbox": [1, 2]},
        good | {"bbox": [1, 2, "x", 3]},
        good | {"image_id": 5},
        good | {"category_id": 9},
        good | {"score": -1},
        3,
    ]
    path = coco_file(tmp_path / "d.json", annotations=[good, *bad])
    with pytest.raises(DetectionsError) as error:
        coco.read(path, ImageFacts(0.25))
    assert records(error) == [f"annotation {i}" for i in range(2, 8)]


def test_coco_ground_truth_is_read_as_labels(tmp_path):
    figures = (
        Figure("1", 30, 40, Label.MITOTIC, (5, 15, 55, 65)),
        Figure("2", 100, 100, Label.HARD_NEGATIVE),
    )
    dataset = Dataset([Case("a", mpp=0.25, figures=figures, width_px=200, height_px=200)])
    write_ground_truth(dataset, tmp_path / "t.json")
    back = load_dataset(tmp_path / "t.json", kind="coco")["a"]
    assert [(f.x_px, f.y_px, f.label) for f in back.figures] == [
        (f.x_px, f.y_px, f.label) for f in figures
    ]


@pytest.mark.parametrize(("mpp", "side"), [(0.25, 50), (0.5, 25), (0.0, 50), (100.0, 1)])
def test_boxes_are_squares_of_whole_pixels(mpp, side):
    made = Provenance("a.tiff", 100, 100, mpp)
    found = Detections([40.5], [50], [0.75], [1], provenance=made)
    (row,) = coco.results(found, 7)
    x, y, width, height = row["bbox"]
    assert (width, height, row["area"]) == (side, side, side**2)
    assert (x + width / 2, y + height / 2) == (40.5, 50)
    assert (row["image_id"], row["category_id"], row["score"]) == (7, 2, 0.75)


def test_ids_may_be_text_or_numbers(tmp_path):
    row = {"image_id": "1", "category_id": "1", "bbox": [0, 0, 10, 20]}
    path = coco_file(tmp_path / "d.json", annotations=[row])
    (one,) = coco.read(path, ImageFacts(0.25)).values()
    assert (one.points.tolist(), one.score.tolist()) == ([[5, 10]], [1])


def test_the_facts_of_an_image_are_read(tmp_path):
    image = {"id": 1, "file_name": "a.tiff", "width": 30, "height": 40, "mpp": 0.3}
    path = coco_file(tmp_path / "d.json", images=[image | {"threshold": 0.4}])
    made = coco.read(path)["a"].provenance
    assert (made.width_px, made.height_px, made.mpp, made.threshold) == (30, 40, 0.3, 0.4)


def test_images_without_a_name_are_wrong(tmp_path):
    images = [{"id": 1, "file_name": "a.tiff"}, {"id": 2}, {"file_name": "c.tiff"}]
    with pytest.raises(DetectionsError) as error:
        coco.read(coco_file(tmp_path / "d.json", images=images), ImageFacts(0.25))
    assert records(error) == ["image 2", "image 3"]


@pytest.mark.parametrize(
    ("data", "known"),
    [
        ({"images": [], "annotations": []}, True),
        ({"annotations": []}, False),
        ([{"bbox": [0, 0, 1, 1]}], True),
        ([{"bbox": 1}, 3], False),
        ("images", False),
    ],
)
def test_recognised_by_content(data, known):
    assert coco.looks_like(data) is known
