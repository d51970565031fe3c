from __future__ import annotations

import json
from pathlib import Path

import pytest

from metaphase.errors import LabelError
from metaphase.figures import Label
from metaphase.labels.read import load_dataset, read_labels
from tests.labels.files import image, mark, write_coco

XYXY = [mark(1, 1, [600, 300, 650, 350]), mark(2, 60, [700, 500, 750, 550], 2)]
IMAGES = [image(n) for n in (1, 60, 101, 151)]
HEADER = "Slide;Dataset;Tumor;Scanner;Origin;Species\n"


@pytest.fixture
def midog(tmp_path: Path) -> Path:
    return write_coco(tmp_path / "labels.json", IMAGES, XYXY)


def test_scanners_are_known_by_number(midog: Path) -> None:
    reading = read_labels(midog)
    assert reading.kind == "midog"
    scanners = [case.scanner for case in reading.dataset()]
    assert scanners == ["Hamamatsu XR", "Hamamatsu S360", "Aperio CS2", "Leica GT450"]


def test_boxes_are_corners(midog: Path) -> None:
    assert load_dataset(midog)["001"].figures[0].box == (600, 300, 650, 350)


def test_the_last_fifty_are_unlabelled_and_an_empty_image_is_not(midog: Path) -> None:
    dataset = load_dataset(midog)
    assert not dataset["151"].labelled
    assert dataset["101"].labelled
    assert dataset["101"].figures == ()


def test_somebody_may_have_labelled_one_of_the_last_fifty(tmp_path: Path) -> None:
    marks = [*XYXY, mark(3, 151, [10, 10, 60, 60])]
    assert load_dataset(write_coco(tmp_path / "a.json", IMAGES, marks))["151"].labelled


def test_resolution_is_left_to_the_slide_and_the_scanner(midog: Path) -> None:
    assert all(case.mpp is None for case in load_dataset(midog))


@pytest.mark.parametrize(
    ("images", "info"),
    [
        ([image(1, scanner="Mine")], {}),
        ([image(1, "A00_01.jpg")], {}),
        ([image(1)], {"description": "synthetic, MIDOG-shaped"}),
    ],
)
def test_other_files_get_no_facts_of_midog(tmp_path: Path, images: list, info: dict) -> None:
    reading = read_labels(write_coco(tmp_path / "a.json", images, XYXY[:1], info))
    assert reading.kind == "coco"
    assert reading.cases[0].tumour is None
    assert reading.cases[0].figures[0].box == (600, 300, 650, 350), "but the numbers are read"


def test_the_table_has_the_last_word(tmp_path: Path, midog: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text(HEADER + "1;train;human melanoma;Aperio CS2;Here;Canine\n")
    reading = read_labels(midog, cases=table)
    case = reading.dataset()["001"]
    assert (case.scanner, case.tumour) == ("Aperio CS2", "human melanoma")
    assert (case.species, case.laboratory) == ("canine", "Here")
    assert any("060, 101" in str(note) for note in reading.notes), "cases that are not in it"


def test_the_table_is_found_beside_the_labels_of_midogpp(tmp_path: Path) -> None:
    path = write_coco(tmp_path / "a.json", [image(201)], [mark(1, 201, [600, 300, 650, 350])])
    (tmp_path / "datasets_xvalidation.csv").write_text(HEADER + "201;train;T;S;L;Canine\n")
    assert load_dataset(path)["201"].tumour == "T"


@pytest.mark.parametrize(
    ("text", "said"),
    [("a,b\n1,2\n", "lacks"), (HEADER + "x;train;T;S;L;H\n", "no image number"), ("", "lacks")],
)
def test_another_table_is_refused(tmp_path: Path, midog: Path, text: str, said: str) -> None:
    table = tmp_path / "table.csv"
    table.write_text(text)
    with pytest.raises(LabelError, match=said):
        load_dataset(midog, cases=table)


@pytest.mark.needs_data
def test_counts_of_midog_2021(data_dir: Path) -> None:
    reading = read_labels(data_dir / "midog" / "MIDOG.json")
    dataset = reading.dataset()
    assert (len(dataset), len(dataset.labelled())) == (200, 150)
    assert (dataset.count(), dataset.count(Label.HARD_NEGATIVE)) == (1721, 2714)
    counts = {
        name: (len(part), part.count(), part.count(Label.HARD_NEGATIVE))
        for name, part in dataset.by_domain("scanner").items()
    }
    assert counts == {
        "Hamamatsu XR": (50, 451, 724),
        "Hamamatsu S360": (50, 582, 1066),
        "Aperio CS2": (50, 688, 924),
        "Leica GT450": (50, 0, 0),
    }
    assert {c.id for c in dataset if not c.labelled} == {f"{n:03d}" for n in range(151, 201)}
    assert len(reading.notes) == 48, "boxes that cross a border"


@pytest.mark.needs_data
def test_counts_of_midogpp(data_dir: Path) -> None:
    dataset = load_dataset(data_dir / "midog" / "MIDOG++.json")
    assert (len(dataset), len(dataset.labelled())) == (553, 503)
    assert (dataset.count(), dataset.count(Label.HARD_NEGATIVE)) == (11937, 14349)
    assert len(dataset.by_domain("tumour")) == 7
    assert {name: len(p.labelled()) for name, p in dataset.by_domain("species").items()} == {
        "human": 254,
        "canine": 249,
    }
    assert {c.id for c in dataset if not c.labelled} == {f"{n:03d}" for n in range(151, 201)}


@pytest.mark.needs_data
def test_the_facts_are_those_of_the_published_table(data_dir: Path, tmp_path: Path) -> None:
    """Read without its table, MIDOG++ is the same as with it."""
    alone = tmp_path / "MIDOG++.json"
    data = json.loads((data_dir / "midog" / "MIDOG++.json").read_text())
    for row in data["images"]:
        row.pop("tumor_type")
    alone.write_text(json.dumps(data))
    with_table = load_dataset(data_dir / "midog" / "MIDOG++.json")
    without = load_dataset(alone)
    for case in with_table.labelled():
        other = without[case.id]
        assert (case.scanner, case.tumour, case.species, case.laboratory) == (
            *(other.scanner, other.tumour, other.species, other.laboratory),
        )
