from __future__ import annotations

import sys
from pathlib import Path

import pytest

from metaphase.classnames import label_of
from metaphase.errors import LabelError
from metaphase.figures import Label
from metaphase.files import write_json
from metaphase.labels.casenames import case_id, without_suffix
from metaphase.labels.formats.table import save_table
from metaphase.labels.read import load_dataset, read_labels
from tests.labels.files import image, mark, write_coco, write_sliderunner

MARKS = [mark(1, 1, [595, 299, 30, 40])]


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    return write_coco(tmp_path / "annotations.json", [image(1, "a.tif")], MARKS)


def test_without_images_there_is_none(labels: Path) -> None:
    assert load_dataset(labels).cases[0].image is None


@pytest.mark.parametrize("folder", ["", "images"])
def test_images_are_found_beside_the_labels(labels: Path, folder: str) -> None:
    found = labels.parent / folder / "a.tif"
    found.parent.mkdir(exist_ok=True)
    found.touch()
    assert load_dataset(labels).cases[0].image == found


def test_images_are_found_in_the_folder_that_is_named(labels: Path, tmp_path: Path) -> None:
    (tmp_path / "a.tif").touch()
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.tif").touch()
    assert load_dataset(labels, images=other).cases[0].image == other / "a.tif"


def test_an_image_may_have_been_converted(labels: Path, tmp_path: Path) -> None:
    (tmp_path / "a.svs").touch()
    assert load_dataset(labels).cases[0].image == tmp_path / "a.svs"
    (tmp_path / "a.png").touch()
    assert load_dataset(labels).cases[0].image is None, "two files could be meant"


def test_an_absent_image_keeps_the_path_where_it_should_be(labels: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pixels"
    folder.mkdir()
    assert load_dataset(labels, images=folder).cases[0].image == folder / "a.tif"


def test_a_folder_that_is_none(labels: Path, tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="--images"):
        load_dataset(labels, images=tmp_path / "nowhere")


def test_a_folder_of_labels_is_opened_by_the_usual_names(labels: Path) -> None:
    assert load_dataset(labels.parent).count() == 1


def test_a_folder_with_several_files_of_labels_asks_which(labels: Path) -> None:
    write_coco(labels.parent / "MIDOG.json", [image(1, "a.tif")], MARKS)
    with pytest.raises(LabelError, match=r"MIDOG\.json, annotations\.json"):
        load_dataset(labels.parent)


def test_a_folder_without_labels_is_not_taken_for_unlabelled(tmp_path: Path) -> None:
    (tmp_path / "a.tif").touch()
    with pytest.raises(LabelError, match="--labels-format images"):
        load_dataset(tmp_path)


def test_a_folder_of_images_is_unlabelled_when_the_user_says_so(tmp_path: Path) -> None:
    for name in ("b.tif", "a.png", "notes.txt"):
        (tmp_path / name).touch()
    dataset = load_dataset(tmp_path, kind="images", scanner="Aperio CS2")
    assert dataset.ids == ("a", "b")
    assert not any(case.labelled for case in dataset)
    assert dataset["a"].image == tmp_path / "a.png"
    assert dataset["a"].scanner == "Aperio CS2"


def test_a_folder_of_images_without_images(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="holds no images"):
        load_dataset(tmp_path, kind="images")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"  \n", "is empty"),
        (b"hello", "no file of labels"),
        (b"\x00\x01,\x02", "no file of labels"),
        (b"[1, 2]", "not a file of labels"),
        (b'{"a": 1}', "not a file of labels"),
        (b'{"images": [', "line 1: is not JSON"),
        (b'{"images": 1, "annotations": []}', "no list of images"),
        (b'{"images": [], "annotations": [1]}', "no list of annotations"),
        (b'{"\xff": 1}', "not UTF-8"),
        (b"a,b\n1,2\n", "neither the columns"),
    ],
)
def test_files_that_are_no_labels(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "labels.json"
    path.write_bytes(content)
    with pytest.raises(LabelError, match=said):
        load_dataset(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="No such file"):
        load_dataset(tmp_path / "labels.json")
    with pytest.raises(LabelError, match="not there"):
        load_dataset(tmp_path / "labels.sqlite", kind="sliderunner")


def test_an_unknown_kind_names_those_that_are_known(labels: Path) -> None:
    with pytest.raises(LabelError, match="midog, sliderunner, coco, table, qupath, images"):
        load_dataset(labels, kind="yolo")


@pytest.mark.parametrize("mpp", [0, -1, float("nan"), float("inf")])
def test_an_impossible_resolution(labels: Path, mpp: float) -> None:
    with pytest.raises(LabelError, match="not a resolution"):
        load_dataset(labels, mpp=mpp)


def test_the_kind_is_recognised_from_the_content(tmp_path: Path, labels: Path) -> None:
    database = write_sliderunner(tmp_path / "x.json", [(1, "a.svs")], [(1, 1, 1, 0, [(1, 1)])])
    table = tmp_path / "figures.txt"
    table.write_text("case;x_px;y_px\na;1;2\n")
    midog = write_coco(tmp_path / "m.txt", [image(1)], [mark(1, 1, [600, 300, 650, 350])])
    marked = tmp_path / "bom.json"
    marked.write_bytes(b"\xef\xbb\xbf" + labels.read_bytes())
    kinds = [read_labels(path).kind for path in (database, table, midog, labels, marked)]
    assert kinds == ["sliderunner", "table", "midog", "coco", "coco"]


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("mitotic figure", Label.MITOTIC),
        ("Mitose", Label.MITOTIC),
        ("mitosis", Label.MITOTIC),
        ("MITOTIC_FIGURE", Label.MITOTIC),
        ("not mitotic figure", Label.HARD_NEGATIVE),
        ("non-mitotic", Label.HARD_NEGATIVE),
        ("nonmitotic", Label.HARD_NEGATIVE),
        ("Hard negative", Label.HARD_NEGATIVE),
        ("hard_negative", Label.HARD_NEGATIVE),
        ("imposter", Label.HARD_NEGATIVE),
        ("mitosis-like", Label.HARD_NEGATIVE),
        ("mitotic figure lookalike", Label.HARD_NEGATIVE),
        ("canonical mitosis", Label.MITOTIC),
        ("tumour", None),
        ("", None),
    ],
)
def test_names_of_classes(name: str, label: Label | None) -> None:
    assert label_of(name) == label


@pytest.mark.parametrize(
    ("name", "id_"),
    [
        ("001.tiff", "001"),
        ("x/y/001.TIF", "001"),
        ("x\\001.svs", "001"),
        ("biopsy.2", "biopsy.2"),
        ("a.b.png", "a.b"),
        ("001", "001"),
    ],
)
def test_ids_of_cases(name: str, id_: str) -> None:
    assert case_id(name) == id_


def test_ids_written_by_users_keep_their_prefix() -> None:
    assert without_suffix("midog/001.tiff") == "midog/001"
    assert without_suffix("midog/001") == "midog/001"


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names of files are UTF-8 there")
def test_an_image_whose_name_is_not_utf8_is_found_by_json_and_by_a_table(tmp_path: Path) -> None:
    name = "a\udcff.png"
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / name).touch()
    image = {"id": 1, "file_name": name, "width": 50, "height": 40}
    figure = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9]}
    classes = [{"id": 1, "name": "mitotic figure"}]
    labels = tmp_path / "labels.json"
    write_json(labels, {"images": [image], "annotations": [figure], "categories": classes})
    (case,) = load_dataset(labels)
    assert case.image == tmp_path / "images" / name
    save_table(load_dataset(labels), tmp_path)
    (again,) = load_dataset(tmp_path / "figures.csv")
    assert (again.id, again.image) == (case.id, case.image)
    assert again.figures == case.figures


def test_a_table_of_cases_that_has_no_effect_is_refused(labels: Path, tmp_path: Path) -> None:
    (tmp_path / "cases.csv").write_text("id,mpp\na,0.25\n")
    with pytest.raises(LabelError, match="has no effect"):
        load_dataset(labels, cases=tmp_path / "cases.csv")
