from __future__ import annotations

import json
from pathlib import Path

import pytest

from metaphase.errors import LabelError
from metaphase.figures import Label
from metaphase.labels.read import load_dataset, read_labels
from tests.labels.files import image, mark, write_coco

# Sides smaller than positions: as corners, these boxes would be turned inside out.
XYWH = [mark(1, 1, [595, 299, 30, 40]), mark(2, 1, [100, 200, 50, 50], 2)]


def messages(path: Path, **options: object) -> list[str]:
    return [str(problem) for problem in read_labels(path, **options).problems]  # type: ignore[arg-type]


def test_boxes_become_corners_and_their_centre_the_point(tmp_path: Path) -> None:
    case = load_dataset(write_coco(tmp_path / "a.json", [image(1, "a.png")], XYWH)).cases[0]
    first, second = case.figures
    assert first.box == (595, 299, 625, 339)
    assert (first.x_px, first.y_px, first.label) == (610, 319, Label.MITOTIC)
    assert second.label == Label.HARD_NEGATIVE
    assert (case.id, case.width_px, case.height_px) == ("a", 1000, 800)
    assert case.labelled


@pytest.mark.parametrize("key", ["centroid", "center"])
def test_a_point_beside_the_box_is_the_point(tmp_path: Path, key: str) -> None:
    marks = [mark(1, 1, [595, 299, 30, 40], **{key: [600.5, 310.25]})]
    figure = load_dataset(write_coco(tmp_path / "a.json", [image(1, "a.png")], marks)).cases[0]
    assert (figure.figures[0].x_px, figure.figures[0].y_px) == (600.5, 310.25)


def test_what_an_image_says_of_itself(tmp_path: Path) -> None:
    told = image(
        1,
        "x/a.png",
        scanner="aperio scanscope cs2",
        mpp=0.25,
        slide="S1.tiff",
        dataset="D",
        tumor_type="melanoma",
        species="human",
        laboratory="here",
    )
    case = load_dataset(write_coco(tmp_path / "a.json", [told], [])).cases[0]
    assert case.scanner == "Aperio CS2"
    assert (case.mpp, case.group, case.tumour) == (0.25, "D/S1", "melanoma")
    assert (case.species, case.laboratory) == ("human", "here")
    assert case.id == "a"


def test_info_speaks_for_all_images_and_an_image_for_itself(tmp_path: Path) -> None:
    images = [image(1, "a.png"), image(2, "b.png", mpp=0.5, scanner="B")]
    path = write_coco(tmp_path / "a.json", images, [], {"mpp": 0.2456, "scanner": "A"})
    a, b = load_dataset(path)
    assert (a.mpp, a.scanner) == (0.2456, "A")
    assert (b.mpp, b.scanner) == (0.5, "B")


def test_unlabelled_is_not_empty(tmp_path: Path) -> None:
    images = [image(1, "a.png", labelled=False), image(2, "b.png")]
    a, b = load_dataset(write_coco(tmp_path / "a.json", images, []))
    assert not a.labelled
    assert b.labelled


def test_an_unlabelled_image_with_figures_is_a_contradiction(tmp_path: Path) -> None:
    path = write_coco(tmp_path / "a.json", [image(1, "a.png", labelled=False)], XYWH)
    assert any("unlabelled but has 2 figures" in text for text in messages(path))


def test_the_users_mpp_and_scanner_fill_in_only(tmp_path: Path) -> None:
    images = [image(1, "a.png", mpp=0.5, scanner="A"), image(2, "b.png")]
    path = write_coco(tmp_path / "a.json", images, [])
    a, b = load_dataset(path, mpp=0.25, scanner="hamamatsu xr")
    assert (a.mpp, a.scanner) == (0.5, "A")
    assert (b.mpp, b.scanner) == (0.25, "Hamamatsu XR")
    notes = [str(note) for note in read_labels(path, mpp=0.25, scanner="hamamatsu xr").notes]
    assert len(notes) == 2, "the user is told that both are not used for a"
    assert all("case a" in note for note in notes)


@pytest.mark.parametrize(
    ("images", "annotations", "said"),
    [
        ([image(1), image(1, "b.png")], [], "image 1: its id appears 2 times"),
        ([image(1, "x/a.png"), image(2, "x/a.png")], [], "case a: appears 2 times"),
        ([image(1)], [XYWH[0], {**XYWH[1], "id": 1}], "annotation 1: its id appears 2 times"),
        ([image(1)], [mark(1, 7, [10, 10, 5, 5])], "image 7 is missing"),
        ([image(1)], [mark(1, 1, [10, 10, 5])], "annotation 1: bbox is not four numbers"),
        ([image(1)], [mark(1, 1, [10, 10, 5, "x"])], "annotation 1: bbox is not four numbers"),
        ([image(1)], [mark(1, 1, [10, 10, 5, True])], "annotation 1: bbox is not four numbers"),
        ([image(1)], [*XYWH, mark(3, 1, [400, 300, 0, 9])], "annotation 3: box"),
        ([image(1)], [*XYWH, mark(3, 1, [1001, 300, 9, 9])], "annotation 3: lies outside"),
        ([image(1)], [*XYWH, mark(3, 1, [-60, 300, 50, 50])], "annotation 3: lies outside"),
        ([image(1, mpp="fine")], [], "mpp is not a number"),
        ([image(1, mpp=0)], [], "mpp is not a resolution"),
        ([{**image(1), "width": -5}], [], "width is not a number of pixels"),
        ([{**image(1), "file_name": ""}], [], "image 1: has no file_name"),
        ([image(1, labelled="maybe")], [], "labelled is neither true nor false"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, images: list, annotations: list, said: str) -> None:
    path = write_coco(tmp_path / "a.json", images, annotations)
    found = messages(path)
    assert any(said in text for text in found), found
    with pytest.raises(LabelError):
        load_dataset(path)


def test_everything_wrong_is_told_at_once(tmp_path: Path) -> None:
    annotations = [mark(1, 7, [1, 1, 2, 2]), mark(2, 1, [0]), mark(3, 1, [9999, 9999, 5, 5])]
    path = write_coco(tmp_path / "a.json", [image(1), image(2, mpp="x")], annotations)
    with pytest.raises(LabelError) as caught:
        load_dataset(path)
    assert len(caught.value.problems) == 4
    assert all(problem.file == "a.json" for problem in caught.value.problems)


def test_a_box_over_the_border_is_allowed_and_told(tmp_path: Path) -> None:
    annotations = [*XYWH, mark(3, 1, [980, 780, 50, 50])]
    reading = read_labels(write_coco(tmp_path / "a.json", [image(1)], annotations))
    assert not reading.problems
    assert [note.record for note in reading.notes] == ["annotation 3"]
    assert reading.cases[0].figures[2].box == (980, 780, 1030, 830), "as written in the file"


def test_other_categories_are_left_out_and_told(tmp_path: Path) -> None:
    path = write_coco(
        tmp_path / "a.json",
        [image(1)],
        [*XYWH, mark(3, 1, [5, 5, 5, 5], 9)],
        categories=[
            {"id": 1, "name": "mitotic figure"},
            {"id": 2, "name": "Non-mitotic"},
            {"id": 9, "name": "tumour"},
        ],
    )
    reading = read_labels(path)
    assert len(reading.dataset().cases[0].figures) == 2
    assert "category 9" in str(reading.notes[0])


def test_a_category_that_is_not_listed_is_a_problem(tmp_path: Path) -> None:
    """Nobody knows what its annotations are: they may be the figures."""
    path = write_coco(tmp_path / "a.json", [image(1)], [*XYWH, mark(3, 1, [5, 5, 5, 5], 9)])
    assert any("category 9: is missing from the list" in text for text in messages(path))


def test_without_mitotic_figures_among_the_categories_nothing_can_be_done(tmp_path: Path) -> None:
    path = write_coco(tmp_path / "a.json", [image(1)], [], categories=[{"id": 1, "name": "cat"}])
    assert any("mitotic figure: cat" in text for text in messages(path))


def test_the_name_is_the_descriptions_first_part(tmp_path: Path) -> None:
    path = write_coco(tmp_path / "a.json", [image(1, "a.png")], [], {"description": "My set, 40x"})
    assert load_dataset(path).name == "My set"
    assert load_dataset(path, name="other").name == "other"


@pytest.mark.needs_data
def test_icpr_2012(data_dir: Path) -> None:
    dataset = load_dataset(data_dir / "icpr2012" / "annotations.json")
    assert (len(dataset), dataset.count(), dataset.count(Label.HARD_NEGATIVE)) == (28, 144, 0)
    assert list(dataset.by_domain("group")) == ["A00", "A01", "A02", "A04"]
    assert {case.mpp for case in dataset} == {0.2456}
    assert all(case.image and case.image.is_file() for case in dataset)
    first = dataset["A00_01"].figures[0]
    assert (first.x_px, first.y_px) == (608.5, 314.5), "the centroid, not the box's centre"


@pytest.mark.needs_data
def test_ami_br(data_dir: Path) -> None:
    dataset = load_dataset(data_dir / "ami_br" / "annotations.json")
    assert (len(dataset), dataset.count(), dataset.count(Label.HARD_NEGATIVE)) == (2812, 2884, 54)
    assert len(dataset.by_domain("group")) == 145
    counts = {name: len(part) for name, part in dataset.by_domain().items()}
    assert counts.pop("Hamamatsu XR") == 358
    assert counts.pop("Hamamatsu S360") == 343
    assert counts.pop("Aperio CS2") == 509
    assert list(counts.values()) == [1602]
    assert dataset["MIDOG21_6"].figures[0].box == (39, 39, 89, 89)
    known = [f.atypical for case in dataset for f in case.figures if f.atypical is not None]
    assert (len(known), sum(known)) == (2812, 633)


def test_figures_may_be_atypical(tmp_path: Path) -> None:
    marks = [
        mark(1, 1, [10, 10, 20, 20]),
        mark(2, 1, [50, 10, 20, 20], atypical=0.67),
        mark(3, 1, [90, 10, 20, 20], atypical=False),
        mark(4, 1, [130, 10, 20, 20], 2, atypical=True),
        mark(5, 1, [170, 10, 20, 20], 3),
    ]
    names = {1: "mitotic figure", 2: "hard negative", 3: "atypical mitotic figure"}
    path = write_coco(tmp_path / "a.json", [image(1, "a.png")], marks)
    data = json.loads(path.read_text())
    data["categories"] = [{"id": id_, "name": name} for id_, name in names.items()]
    path.write_text(json.dumps(data))
    figures = load_dataset(path).cases[0].figures
    assert [figure.atypical for figure in figures] == [None, 0.67, 0.0, None, 1.0]
    data["annotations"][1]["atypical"] = 1.5
    path.write_text(json.dumps(data))
    assert any("atypical" in text for text in messages(path))


def test_a_crop_speaks_of_the_figure_in_its_centre(tmp_path: Path) -> None:
    """Of its neighbours nothing is known."""
    marks = [mark(1, 1, [0, 0, 40, 40]), mark(2, 1, [44, 44, 40, 40]), mark(3, 1, [80, 40, 40, 40])]
    crop = image(1, "a.png", width=128, height=128, atypical=True)
    figures = load_dataset(write_coco(tmp_path / "a.json", [crop], marks)).cases[0].figures
    assert [figure.atypical for figure in figures] == [None, 1.0, None]
