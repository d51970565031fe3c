from __future__ import annotations

from pathlib import Path

import pytest

from metaphase.errors import LabelError
from metaphase.labels.audit import audit
from tests.labels.files import image, mark, write_coco

MARKS = [mark(1, 1, [595, 299, 30, 40]), mark(2, 1, [700, 300, 30, 40], 2)]
IMAGES = [
    image(1, "a.png", scanner="Aperio CS2"),
    image(2, "b.png", scanner="Aperio CS2", mpp=0.25),
    image(3, "c.png", labelled=False),
]


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    for name in "abc":
        (tmp_path / f"{name}.png").touch()
    return write_coco(tmp_path / "annotations.json", IMAGES, MARKS)


def test_nothing_wrong(labels: Path) -> None:
    found = audit(labels, mpp=0.25)
    assert found.ok
    assert found.problems == ()
    assert found.notes == ()
    assert found.kind == "coco"


def test_missing_images_are_problems(labels: Path) -> None:
    (labels.parent / "b.png").unlink()
    found = audit(labels, mpp=0.25)
    assert [problem.record for problem in found.problems] == ["case b"]
    assert "is missing" in found.problems[0].message


def test_labels_alone_are_fine_but_told(labels: Path) -> None:
    for name in "abc":
        (labels.parent / f"{name}.png").unlink()
    found = audit(labels, mpp=0.25)
    assert found.ok
    assert "--images" in found.notes[0].way_out


def test_missing_images_of_a_named_folder_are_problems(labels: Path, tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    assert len(audit(labels, images=folder, mpp=0.25).problems) == 3


def test_problems_of_the_file_and_of_the_images_are_told_together(labels: Path) -> None:
    write_coco(labels, IMAGES, [*MARKS, mark(3, 1, [5000, 5000, 9, 9]), mark(3, 2, [1])])
    (labels.parent / "b.png").unlink()
    found = audit(labels, mpp=0.25)
    assert len(found.problems) == 4
    assert len(found.dataset) == 3, "what can be counted is"


def test_a_place_labelled_twice_is_told(labels: Path) -> None:
    again = mark(3, 1, [595, 299.5, 30, 40])
    near = mark(4, 1, [595, 303, 30, 40])
    torn = mark(5, 1, [700, 300, 30, 40], 1)
    write_coco(labels, IMAGES, [*MARKS, again, near, torn])
    notes = [str(note) for note in audit(labels, mpp=0.25).notes]
    assert len(notes) == 2
    assert "1 pairs of annotations: are at the same place: 1 and 3 (a)" in notes[0]
    assert "a mitotic figure and a hard negative: 2 and 5 (a)" in notes[1]


def test_unknown_and_doubtful_resolutions_are_told(labels: Path) -> None:
    write_coco(labels, [*IMAGES, image(4, "a2.png", scanner="Aperio CS2", mpp=0.5)], MARKS)
    (labels.parent / "a2.png").touch()
    notes = [str(note) for note in audit(labels).notes]
    assert any("case c: its resolution is neither" in note for note in notes)
    assert any("case a2: its mpp differs" in note for note in notes)


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LabelError):
        audit(tmp_path / "nowhere.json")


@pytest.mark.needs_data
@pytest.mark.parametrize(
    "name",
    [
        "icpr2012/annotations.json",
        "ami_br/annotations.json",
        "midog/MIDOG.json",
        "midog/MIDOG++.json",
        "midog/MIDOG.sqlite",
        "tupac_alternative_labels/TUPAC_alternativeLabels_augmented_training.sqlite",
    ],
)
def test_published_files_have_no_problem(data_dir: Path, name: str) -> None:
    found = audit(data_dir / name)
    assert found.problems == ()
