"""A folder of images without labels: one unlabelled case for each image."""

from __future__ import annotations

from pathlib import Path

import pytest

from metaphase.errors import LabelError
from metaphase.labels.formats.imagefolder import read_image_folder
from tests.imagefiles.test_find import dicom


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "scans"
    folder.mkdir()
    for name in ("b.tif", "a.png", "notes.txt", "._a.png"):
        (folder / name).touch()
    return folder


def test_each_image_is_an_unlabelled_case(folder: Path) -> None:
    file = read_image_folder(folder)
    assert (file.kind, file.name, file.problems) == ("images", "scans", [])
    assert [(case.id, case.image) for case in file.cases] == [
        ("a", folder / "a.png"),
        ("b", folder / "b.tif"),
    ]
    assert not any(case.labelled for case in file.dataset())


def test_images_in_folders_inside_are_left_out(folder: Path) -> None:
    (folder / "more").mkdir()
    (folder / "more" / "c.png").touch()
    assert read_image_folder(folder).dataset().ids == ("a", "b")


def test_a_slide_in_several_files_is_one_case(folder: Path) -> None:
    (folder / "S.vms").write_text("[Virtual Microscope Specimen]\nImageFile=S.jpg\n")
    (folder / "S.jpg").touch()
    for name in ("1.2.3.7", "1.2.3.8", "level.dcm"):
        dicom(folder / name, "1.9")
    file = read_image_folder(folder)
    assert [case.image.name for case in file.cases if case.image] == [
        *("1.2.3.7", "S.vms", "a.png", "b.tif")
    ]


def test_two_images_of_one_case_are_a_problem(folder: Path) -> None:
    (folder / "a.tif").touch()
    file = read_image_folder(folder)
    assert [case.id for case in file.cases] == ["a", "b"]
    with pytest.raises(LabelError, match=r"case a: appears 2 times: a\.png, a\.tif"):
        file.dataset()


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(LabelError, match="holds no images"):
        read_image_folder(tmp_path)


def test_an_image_is_not_a_folder(folder: Path) -> None:
    with pytest.raises(LabelError, match="is not a folder"):
        read_image_folder(folder / "a.png")
    with pytest.raises(LabelError, match="is not a folder"):
        read_image_folder(folder / "absent")
