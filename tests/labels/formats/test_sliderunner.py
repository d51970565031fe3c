from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from metaphase.errors import LabelError
from metaphase.figures import Label
from metaphase.labels.read import load_dataset, read_labels
from tests.labels.files import write_sliderunner

SLIDES = [(1, "a.svs"), (2, "b.svs")]
SPOTS = [(1, 1, 1, 0, [(10.5, 20)]), (2, 1, 2, 0, [(30, 40)]), (3, 2, 1, 0, [(50, 60)])]


def test_spots_are_points_with_the_agreed_class(tmp_path: Path) -> None:
    a, b = load_dataset(write_sliderunner(tmp_path / "a.sqlite", SLIDES, SPOTS))
    assert [(f.x_px, f.y_px, f.label, f.box) for f in a.figures] == [
        (10.5, 20, Label.MITOTIC, None),
        (30, 40, Label.HARD_NEGATIVE, None),
    ]
    assert (b.id, b.count(), b.width_px) == ("b", 1, 1000)


def test_the_name_of_the_file_does_not_matter(tmp_path: Path) -> None:
    path = write_sliderunner(tmp_path / "labels.csv", SLIDES, SPOTS)
    assert read_labels(path).kind == "sliderunner"


def test_deleted_annotations_do_not_count(tmp_path: Path) -> None:
    marks = [*SPOTS, (4, 1, 1, 1, [(70, 80)])]
    assert load_dataset(write_sliderunner(tmp_path / "a.sqlite", SLIDES, marks)).count() == 2


def test_the_first_coordinate_is_the_one_of_lowest_order(tmp_path: Path) -> None:
    marks = [(1, 1, 1, 0, [(11, 12), (90, 90)])]
    figure = load_dataset(write_sliderunner(tmp_path / "a.sqlite", SLIDES, marks))["a"].figures[0]
    assert (figure.x_px, figure.y_px) == (11, 12)


def test_areas_are_boxes(tmp_path: Path) -> None:
    marks = [(1, 1, 1, 0, [(10, 20), (30, 60)])]
    path = write_sliderunner(tmp_path / "a.sqlite", SLIDES, marks, kind=2)
    figure = load_dataset(path)["a"].figures[0]
    assert figure.box == (10, 20, 30, 60)
    assert (figure.x_px, figure.y_px) == (20, 40)


def test_a_slide_without_annotations_is_labelled_and_empty(tmp_path: Path) -> None:
    b = load_dataset(write_sliderunner(tmp_path / "a.sqlite", SLIDES, SPOTS[:2]))["b"]
    assert b.labelled
    assert b.figures == ()


@pytest.mark.parametrize("agreed", [None, 7, 0])
def test_without_an_agreed_class_it_is_left_out_and_told(
    tmp_path: Path, agreed: int | None
) -> None:
    marks = [*SPOTS, (4, 1, agreed, 0, [(70, 80)])]
    reading = read_labels(write_sliderunner(tmp_path / "a.sqlite", SLIDES, marks))
    assert reading.dataset().count() == 2
    assert "left out" in reading.notes[0].message


@pytest.mark.parametrize(
    ("slides", "extra", "said"),
    [
        (SLIDES, (4, 9, 1, 0, [(1, 1)]), "slide is missing"),
        (SLIDES, (4, 1, 1, 0, []), "annotation 4: has no coordinates"),
        (SLIDES, (4, 1, 1, 0, [(None, 5)]), "annotation 4: has an empty coordinate"),
        (SLIDES, (4, 1, 1, 0, [("x", 5)]), "annotation 4: coordinateX is not a number"),
        (SLIDES, (4, 1, 1, 0, [(1001, 5)]), "annotation 4: lies outside"),
        (SLIDES, (4, 1, 1, 0, [(5, -1)]), "annotation 4: lies outside"),
        ([*SLIDES, (3, "a.svs")], SPOTS[0], "case a: appears 2 times"),
        ([*SLIDES, (3, None)], SPOTS[0], "slide 3: has no filename"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, slides: list, extra: tuple, said: str) -> None:
    marks = [*SPOTS[1:], extra]
    path = write_sliderunner(tmp_path / "a.sqlite", slides, marks)
    found = [str(problem) for problem in read_labels(path).problems]
    assert any(said in text for text in found), found


def test_classes_without_mitotic_figures(tmp_path: Path) -> None:
    path = write_sliderunner(tmp_path / "a.sqlite", SLIDES, SPOTS, classes=("tumour", "other"))
    with pytest.raises(LabelError, match="mitotic figure: tumour, other"):
        load_dataset(path)


def test_another_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE Slides (uid, other)")
        database.commit()
    with pytest.raises(LabelError, match=r"Slides, column filename"):
        load_dataset(path)


def test_half_a_database_is_told(tmp_path: Path) -> None:
    path = write_sliderunner(tmp_path / "a.sqlite", SLIDES, SPOTS)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(LabelError, match="no readable SQLite"):
        load_dataset(path)


def test_nothing_is_written_beside_the_database(tmp_path: Path) -> None:
    path = write_sliderunner(tmp_path / "a.sqlite", SLIDES, SPOTS)
    before = path.read_bytes()
    load_dataset(path)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == before


@pytest.mark.needs_data
@pytest.mark.parametrize(
    ("name", "mitotic", "negatives"),
    [
        ("TUPAC_alternativeLabels_augmented_training.sqlite", 1999, 10483),
        ("TUPAC_alternativeLabels_training.sqlite", 1898, 5340),
    ],
)
def test_counts_of_tupac(data_dir: Path, name: str, mitotic: int, negatives: int) -> None:
    dataset = load_dataset(data_dir / "tupac_alternative_labels" / name)
    assert len(dataset) == len(dataset.labelled()) == 73
    assert dataset.count() == mitotic
    assert dataset.count(Label.HARD_NEGATIVE) == negatives


@pytest.mark.needs_data
def test_midogs_database_says_what_its_json_says(data_dir: Path) -> None:
    database = load_dataset(data_dir / "midog" / "MIDOG.sqlite")
    text = load_dataset(data_dir / "midog" / "MIDOG.json")
    assert database.ids == text.ids
    for case in text:
        other = database[case.id]
        assert (case.scanner, case.labelled) == (other.scanner, other.labelled)
        points = [(f.x_px, f.y_px, f.label) for f in case.figures]
        assert points == [(f.x_px, f.y_px, f.label) for f in other.figures]
