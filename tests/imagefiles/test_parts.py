"""The hash of a slide: every file that holds pixels of it changes it, no other file does."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from metaphase.imagefiles.parts import other_files, sha256_of_slide
from tests.imagefiles.test_find import dicom, touch

INDEX = "[Virtual Microscope Specimen]\r\nImageFile=S.jpg\r\nImageFile(0,1)=s(0,1).JPG\r\n"


def vms(folder: Path) -> Path:
    touch(folder, "S.jpg", "S(0,1).jpg", "other.jpg")
    (folder / "S.vms").write_text(INDEX)
    return folder / "S.vms"


def mirax(folder: Path) -> Path:
    (folder / "S").mkdir()
    touch(folder / "S", "Data0000.dat", "Slidedat.ini")
    return touch(folder, "S.mrxs", "T.dat")[0]


def series(folder: Path) -> Path:
    for name, uid in (("1.2.3.7", "1.9"), ("level1.dcm", "1.9"), ("b.dcm", "1.10")):
        dicom(folder / name, uid)
    return folder / "level1.dcm"


def test_a_slide_of_one_file_has_the_hash_of_its_file(tmp_path: Path) -> None:
    path = touch(tmp_path, "a.svs", "b.svs")[0]
    assert other_files(path) == []
    assert sha256_of_slide(path) == hashlib.sha256(b"x").hexdigest()
    alone = dicom(tmp_path / "alone.dcm", "1.9")
    assert sha256_of_slide(alone) == hashlib.sha256(alone.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("make", "parts", "others"),
    [
        (vms, ("S.vms", "S.jpg", "S(0,1).jpg"), ("other.jpg",)),
        (mirax, ("S.mrxs", "S/Data0000.dat", "S/Slidedat.ini"), ("T.dat",)),
        (series, ("1.2.3.7", "level1.dcm"), ("b.dcm",)),
    ],
)
def test_every_part_is_in_the_hash_and_no_other_file(make, parts, others, tmp_path: Path) -> None:
    slide = make(tmp_path)
    before = sha256_of_slide(slide)
    found = [path.relative_to(tmp_path).as_posix() for path in other_files(slide)]
    assert sorted([*found, slide.name]) == sorted(parts)
    for name in (*parts, *others):
        path = tmp_path / name
        data = path.read_bytes()
        path.write_bytes(data + b" ")
        assert (sha256_of_slide(slide) != before) == (name in parts), name
        path.write_bytes(data)
    assert sha256_of_slide(slide) == before
    if "/" not in parts[1]:
        (tmp_path / parts[0 if parts[0] != slide.name else 1]).unlink()
        assert sha256_of_slide(slide) != before


def test_all_instances_of_a_series_have_one_hash(tmp_path: Path) -> None:
    series(tmp_path)
    assert sha256_of_slide(tmp_path / "1.2.3.7") == sha256_of_slide(tmp_path / "level1.dcm")
