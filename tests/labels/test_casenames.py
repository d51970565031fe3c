from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from metaphase.labels.casenames import case_id, case_ids, image_name, image_place, without_suffix


def test_a_name_alone_is_its_own_id() -> None:
    assert case_ids(["x/001.tiff", "b.png"]) == {"x/001.tiff": "001", "b.png": "b"}


def test_images_of_one_name_get_their_folder() -> None:
    names = ["patient1/01.png", "patient2\\01.png", "/data/02.png"]
    assert list(case_ids(names).values()) == ["patient1/01", "patient2/01", "02"]


def test_as_many_folders_as_are_needed() -> None:
    names = ["a/x/1.png", "b/x/1.png", "1.png", "../x/1.png"]
    assert list(case_ids(names).values()) == ["a/x/1", "b/x/1", "1", "x/1"]


def test_names_that_stay_equal_are_left_equal() -> None:
    assert list(case_ids(["a.png", "a.tif"]).values()) == ["a", "a"]


def test_decomposed_names_are_the_same_case() -> None:
    name = "Grün.tif"
    assert case_id(unicodedata.normalize("NFD", name)) == case_id(name) == "Grün"
    assert without_suffix(unicodedata.normalize("NFD", "Grün")) == "Grün"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a/slide.svs.geojson", "slide.svs"),
        ("a/slide.svs.geojson.gz", "slide.svs"),
        ("slide/detections.geojson", "slide"),
        ("slide/detections.geojson.gz", "slide"),
        ("slide/mitotic-figures.json", "slide"),
    ],
)
def test_the_image_of_a_file_of_figures(path: str, name: str) -> None:
    assert image_name(Path(path)) == name


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("r/a.geojson", "a"),
        ("r/p/a.svs.geojson.gz", "p/a.svs"),
        ("r/p/a/detections.geojson", "p/a"),
        ("r/a/detections.geojson", "a"),
        ("r/detections.geojson", "r"),
    ],
)
def test_the_place_of_an_image_below_a_folder(path: str, place: str) -> None:
    assert image_place(Path(path), Path("r")) == place
