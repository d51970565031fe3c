from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.labels.formats.boxformat import BoxFormat, stated, vote
from metaphase.labels.read import load_dataset, read_labels
from tests.labels.files import image, mark, write_coco

SIZE = (7000.0, 5000.0)
centre = st.tuples(st.integers(0, 7000), st.integers(0, 5000))


def annotate(x: float, y: float, box_format: BoxFormat, size: float = 50) -> dict[str, object]:
    x1, y1 = x - size / 2, y - size / 2
    box = [x1, y1, x1 + size, y1 + size] if box_format == "xyxy" else [x1, y1, size, size]
    return {"image_id": 1, "bbox": box}


@given(st.lists(centre, min_size=1, max_size=30), st.sampled_from(["xyxy", "xywh"]))
def test_boxes_never_vote_against_their_own_format(points: list, box_format: BoxFormat) -> None:
    votes = vote([annotate(x, y, box_format) for x, y in points], {1: SIZE})
    assert votes.against(box_format) == 0
    assert votes.total == len(points)


@given(st.lists(centre, max_size=30), st.sampled_from(["xyxy", "xywh"]))
def test_one_telling_box_is_enough(points: list, box_format: BoxFormat) -> None:
    # As corners, x, y, width, height of a box far from the corner is inside out; as x, y, width,
    # height, its corners reach far outside.
    points = [*points, (6900, 4900)]
    votes = vote([annotate(x, y, box_format) for x, y in points], {1: SIZE})
    other: BoxFormat = "xywh" if box_format == "xyxy" else "xyxy"
    assert votes.best(other) == box_format


def test_without_boxes_the_usual_format_holds() -> None:
    assert vote([], {}).best("xyxy") == "xyxy"
    assert vote([], {}).best("xywh") == "xywh"


@pytest.mark.parametrize(("area", "expected"), [(2500, "xywh"), (121, "xyxy")])
def test_an_area_tells_small_boxes_apart(area: float, expected: str) -> None:
    votes = vote([{"image_id": 1, "bbox": [39, 39, 50, 50], "area": area}], {1: (128, 128)})
    assert votes.best("xyxy") == votes.best("xywh") == expected


@pytest.mark.parametrize(("point", "expected"), [([64, 64], "xywh"), ([44.5, 44.5], "xyxy")])
def test_a_centre_tells_small_boxes_apart(point: list[float], expected: str) -> None:
    votes = vote([{"image_id": 1, "bbox": [39, 39, 50, 50], "center": point}], {1: (128, 128)})
    assert votes.best("xyxy") == votes.best("xywh") == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("COCO xywh, tight", "xywh"),
        ("x1,y1,x2,y2 of painted-over places", "xyxy"),
        ("x, y, width, height", "xywh"),
        ("boxes", None),
    ],
)
def test_words_of_a_file(words: str, expected: str | None) -> None:
    assert stated({"bbox": words}) == expected
    assert stated({}) is None


def boxes_of(box_format: BoxFormat) -> list:
    places = [(300, 300), (700, 500), (900, 700)]
    return [
        {**mark(i, 1, []), **annotate(x, y, box_format), "image_id": 1}
        for i, (x, y) in enumerate(places, 1)
    ]


@pytest.mark.parametrize("box_format", ["xyxy", "xywh"])
def test_the_numbers_of_a_file_decide(tmp_path: Path, box_format: BoxFormat) -> None:
    path = write_coco(tmp_path / "a.json", [image(1, "a.png")], boxes_of(box_format))
    assert load_dataset(path).cases[0].figures[0].box == (275, 275, 325, 325)


@pytest.mark.parametrize(("kind", "box_format"), [("coco", "xyxy"), ("midog", "xywh")])
def test_a_format_that_looks_like_the_other_is_one_problem(
    tmp_path: Path, kind: str, box_format: BoxFormat
) -> None:
    path = write_coco(tmp_path / "a.json", [image(1)], boxes_of(box_format))
    reading = read_labels(path, kind=kind)
    assert len(reading.problems) == 1
    assert "look like" in reading.problems[0].message


def test_a_file_that_says_the_wrong_format_is_told(tmp_path: Path) -> None:
    path = write_coco(
        tmp_path / "a.json", [image(1, "a.png")], boxes_of("xyxy"), {"bbox": "COCO xywh"}
    )
    assert "look like x1, y1, x2, y2" in str(read_labels(path).problems[0])


@pytest.mark.needs_data
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("midog/MIDOG.json", "xyxy"),
        ("midog/MIDOG++.json", "xyxy"),
        ("icpr2012/annotations.json", "xywh"),
        ("ami_br/annotations.json", "xywh"),
    ],
)
def test_real_files(data_dir: Path, name: str, expected: BoxFormat) -> None:
    data = json.loads((data_dir / name).read_text())
    sizes = {i["id"]: (i["width"], i["height"]) for i in data["images"]}
    votes = vote(data["annotations"], sizes)
    assert votes.against(expected) == 0
    assert votes.best("xywh" if expected == "xyxy" else "xyxy") == expected
