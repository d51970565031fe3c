from __future__ import annotations

import pytest

from metaphase.detectionfile import save_detections
from metaphase.errors import DetectionsError, SlideError
from metaphase.viewer.slidecatalogue import find_images, open_slides, readable

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
