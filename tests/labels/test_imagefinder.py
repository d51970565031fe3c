from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from metaphase.labels.imagefinder import ImageFinder


@pytest.mark.parametrize(
    ("there", "named"),
    [
        ("001.svs", "001.tiff"),
        ("001.png", "001.png - Series 0"),
        ("Slide.PNG", "slide.png"),
        ("001.png", "D:/scans/batch 1/001.png"),
        (unicodedata.normalize("NFD", "Grün.png"), "Grün.png"),
    ],
)
def test_names_that_other_programs_changed(tmp_path: Path, there: str, named: str) -> None:
    (tmp_path / there).touch()
    assert ImageFinder(tmp_path, tmp_path).find(Path(named)) == tmp_path / there


def test_two_files_that_could_be_meant_are_none(tmp_path: Path) -> None:
    for name in ("A.png", "a.tif"):
        (tmp_path / name).touch()
    assert ImageFinder(None, tmp_path).find(Path("a.svs")) == tmp_path / "a.tif"
    assert ImageFinder(None, tmp_path).find(Path("a.PNG - series 3")) == tmp_path / "a.tif"
    (tmp_path / "a.jpg").touch()
    assert ImageFinder(None, tmp_path).find(Path("a.svs")) is None


def test_close_names(tmp_path: Path) -> None:
    for name in ("001.png", "slide_17.png"):
        (tmp_path / name).touch()
    finder = ImageFinder(tmp_path, tmp_path)
    assert finder.close_names(Path("1.png")) == ["001.png"]
    assert finder.close_names(Path("slide-17.png")) == ["slide_17.png"]
    assert finder.close_names(Path("other.png")) == []


def test_parts_of_a_slide_and_hidden_files_are_not_found(tmp_path: Path) -> None:
    """Otherwise the name of a slide in several files could mean several of them."""
    (tmp_path / "S.vms").write_text("[Virtual Microscope Specimen]\nImageFile=S.jpg\n")
    for name in ("S.jpg", "._S.png", "S.txt"):
        (tmp_path / name).touch()
    (tmp_path / "S.png").mkdir()
    assert ImageFinder(None, tmp_path).find(Path("S.tif")) == tmp_path / "S.vms"
