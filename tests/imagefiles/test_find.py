"""Slides in folders: what is an image, and which files are one slide."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from metaphase.imagefiles.find import images_in, is_image_file, separate_slides

WSI = "1.2.840.10008.5.1.4.1.1.77.1.6"
ANNOTATIONS = "1.2.840.10008.5.1.4.1.1.91.1"


def dicom(path: Path, series: str, *, sop_class: str = WSI) -> Path:
    def element(group: int, number: int, kind: bytes, text: str) -> bytes:
        value = text.encode() + b"\0" * (len(text) % 2)
        return struct.pack("<HH2sH", group, number, kind, len(value)) + value

    content = (
        element(0x0002, 0x0010, b"UI", "1.2.840.10008.1.2.1")
        + element(0x0008, 0x0016, b"UI", sop_class)
        + element(0x0020, 0x000E, b"UI", series)
    )
    path.write_bytes(bytes(128) + b"DICM" + content)
    return path


def touch(folder: Path, *names: str) -> list[Path]:
    for name in names:
        (folder / name).write_bytes(b"x")
    return [folder / name for name in names]


def names(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


def test_images_are_found_by_their_suffix(tmp_path: Path) -> None:
    touch(tmp_path, "b.SVS", "a.png", "notes.md", "._a.png", ".hidden.tif", "c.geojson")
    (tmp_path / "folder.tif").mkdir()
    assert names(images_in(tmp_path)) == ["a.png", "b.SVS"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_named_pipes_are_no_images(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.tif")
    os.mkfifo(tmp_path / "pipe")
    assert images_in(tmp_path) == []


def test_links_to_files_that_are_away_are_images_that_cannot_be_read(tmp_path: Path) -> None:
    touch(tmp_path, "a.png")
    for name, target in (("b.svs", "away/b.svs"), ("c.dcm", "c.dcm"), ("d.txt", "nothing")):
        (tmp_path / name).symlink_to(target)
    (tmp_path / "e.tif").symlink_to(tmp_path)  # a folder
    assert names(images_in(tmp_path)) == ["a.png", "b.svs", "c.dcm"]


def test_each_dicom_series_is_one_slide_whatever_its_files_are_called(tmp_path: Path) -> None:
    for name, series in (
        ("1.2.3.7", "1.9"), ("1.2.3.8", "1.9"), ("level0.dcm", "1.9"),
        ("IM0001", "1.10"), ("IM0002", "1.10"),
    ):  # fmt: skip
        dicom(tmp_path / name, series)
    assert names(images_in(tmp_path)) == ["1.2.3.7", "IM0001"]


def test_files_with_other_suffixes_are_not_opened(tmp_path: Path) -> None:
    assert not is_image_file(dicom(tmp_path / "a.json", "1.9"))
    assert is_image_file(dicom(tmp_path / "a.dicom", "1.9"))


def test_the_same_series_in_two_folders_is_two_slides(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    files = [dicom(tmp_path / folder / "x.dcm", "1.9") for folder in ("a", "b")]
    assert separate_slides(files) == files


def test_annotations_and_reports_are_no_slides(tmp_path: Path) -> None:
    assert not is_image_file(dicom(tmp_path / "a.dcm", "1.9", sop_class=ANNOTATIONS))
    assert is_image_file(touch(tmp_path, "damaged.dcm")[0])  # it will be reported as damaged


@pytest.mark.parametrize("index", ["S.vms", "S.vmu"])
def test_pictures_that_an_index_names_are_parts_of_its_slide(tmp_path: Path, index: str) -> None:
    touch(tmp_path, "S.jpg", "S(0,1).jpg", "s_MACRO.JPG", "S_map2.jpg", "other.jpg")
    (tmp_path / index).write_text(
        "[Virtual Microscope Specimen]\r\nNoLayers=1\r\nImageFile=S.jpg\r\n"
        "ImageFile(0,1)=S(0,1).jpg\r\nMapFile=S_map2.jpg\r\nMacroImage=S_macro.jpg\r\n"
    )
    assert names(images_in(tmp_path)) == [index, "other.jpg"]
    alone = [tmp_path / "S.jpg"]
    assert separate_slides(alone) == alone  # who names a part alone means it


def test_files_in_the_folder_of_an_mrxs_are_its_parts(tmp_path: Path) -> None:
    index = touch(tmp_path, "S.mrxs")[0]
    (tmp_path / "S").mkdir()
    part = touch(tmp_path / "S", "label.jpg")[0]
    assert separate_slides([index, part]) == [index]
    assert separate_slides([part]) == [part]
