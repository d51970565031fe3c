from __future__ import annotations

import pytest

from metaphase.detectionfile import save_detections
from metaphase.errors import DetectionsError, SlideError
from metaphase.figures import Figure
from metaphase.imagefiles.parts import sha256_of_slide
from metaphase.labels.dataset import Case, Dataset
from metaphase.viewer.slidecatalogue import (
    detections_in_folders,
    find_images,
    load_slide_detections,
    open_slides,
    readable,
)

from .conftest import MPP, found, picture


def test_detections_are_found_by_the_images_name(folder, tmp_path):
    save_detections(found("a.png"), tmp_path / "out" / "anything")
    a, b = open_slides(find_images([folder]), detections=tmp_path / "out", mpp=MPP)
    assert (len(a.columns), a.threshold, a.model) == (20, 0.5, "toy")
    assert len(b.columns) == 0


def test_same_names_are_told_apart_by_folder(tmp_path):
    for name in ("x/s.png", "y/s.png", "y/t.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        picture(tmp_path / name, 30, 30)
    slides = open_slides(find_images([tmp_path]))
    assert [o.key for o in slides] == ["x/s", "y/s", "t"]
    assert len({o.slug for o in slides}) == 3


def two_of_one_name(tmp_path):
    """Two slides of one name, with 3 and 5 detections in folders that say nothing of them."""
    counts = {"x": 3, "y": 5}
    for folder, n in counts.items():
        path = tmp_path / "slides" / folder / "s.png"
        path.parent.mkdir(parents=True)
        picture(path, 30 + n, 30)
        made = found("s.png", n).with_provenance(image_sha256=sha256_of_slide(path))
        save_detections(made, tmp_path / "out" / f"{9 - n}")
    return tmp_path / "slides"


def test_slides_of_one_name_have_their_own_detections(tmp_path):
    """Whichever of them are opened: never those of the other slide."""
    folder = two_of_one_name(tmp_path)
    x, y = open_slides(find_images([folder]), detections=tmp_path / "out", mpp=MPP)
    assert (x.key, len(x.columns)) == ("x/s", 3)
    assert (y.key, len(y.columns)) == ("y/s", 5)
    for name, n in (("x", 3), ("y", 5)):
        (one,) = open_slides(find_images([folder / name]), detections=tmp_path / "out", mpp=MPP)
        assert (one.key, len(one.columns)) == ("s", n)
    alone = {"s": found("s.png", 7)}
    both = open_slides(find_images([folder]), detections=alone, mpp=MPP)
    assert [len(entry.columns) for entry in both] == [0, 0], "it is not known whose they are"
    by_key = {"x/s": found("s.png", 1), "y/s": found("s.png", 2)}
    both = open_slides(find_images([folder]), detections=by_key, mpp=MPP)
    assert [len(entry.columns) for entry in both] == [1, 2]


def test_slides_of_one_name_have_their_own_labels(tmp_path):
    folder = two_of_one_name(tmp_path)
    cases = [
        Case(f"{name}/s", folder / name / "s.png", figures=tuple(
            Figure(f"{name}{k}", 5 + k, 5) for k in range(n)))
        for name, n in (("y", 2), ("x", 1))
    ]  # fmt: skip
    x, y = open_slides(find_images([folder]), labels=Dataset(cases), mpp=MPP)
    assert (len(x.columns), len(y.columns)) == (1, 2)
    unknown = Dataset([Case("s", figures=(Figure("1", 5, 5),))])
    both = open_slides(find_images([folder]), labels=unknown, mpp=MPP)
    assert [len(entry.columns) for entry in both] == [0, 0]


def test_the_slug_changes_with_the_file(tmp_path):
    picture(tmp_path / "s.png", 30, 30)
    (before,) = open_slides(find_images([tmp_path]))
    picture(tmp_path / "s.png", 60, 60)
    (after,) = open_slides(find_images([tmp_path]))
    assert before.key == after.key
    assert before.slug != after.slug


def test_one_file_given_twice_is_one_slide(folder):
    assert len(find_images([folder, folder / "a.png"])) == 2


def test_nothing_to_open_is_told(tmp_path):
    with pytest.raises(SlideError, match="does not exist"):
        find_images([tmp_path / "none"])
    with pytest.raises(SlideError, match="holds no image"):
        find_images([tmp_path])
    with pytest.raises(DetectionsError, match="metaphase detect"):
        open_slides([], detections=tmp_path)


def test_a_folder_inside_may_be_left_out(folder, tmp_path):
    for run in ("one", "two"):
        save_detections(found("a.png", 5 if run == "one" else 3), folder / run / "a")
    assert len(detections_in_folders([folder])) == 2
    for loaded in (
        load_slide_detections(folder, without=folder / "two"),
        detections_in_folders([folder], without=folder / "two"),
    ):
        assert [len(one.detections) for one in loaded.values()] == [5]
    # A folder is never left out of itself.
    assert len(load_slide_detections(folder / "two", without=folder / "two")) == 1


def test_links_that_lead_out_of_a_folder_are_told_where_nothing_else_is_there(folder, tmp_path):
    away = tmp_path / "links"
    away.mkdir()
    (away / "a.png").symlink_to(folder / "a.png")
    with pytest.raises(SlideError, match=r"1 links that lead out of it.*name the images"):
        find_images([away])
    assert len(find_images([away / "a.png"])) == 1


def test_a_list_names_images(folder, tmp_path):
    (tmp_path / "list.txt").write_text("# two\nslides/b.png\nslides/a.png\n")
    assert [path.name for path in find_images([tmp_path / "list.txt"])] == ["b.png", "a.png"]
    (tmp_path / "list.txt").write_text("slides/c.png\n")
    with pytest.raises(SlideError, match=r"list\.txt.*c\.png"):
        find_images([tmp_path / "list.txt"])


def test_a_name_that_is_no_utf8_becomes_text():
    assert readable("a\udcffb.png") == r"a\xffb.png"
    assert readable("日本.png") == "日本.png"
