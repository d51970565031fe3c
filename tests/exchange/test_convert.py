"""Detections written with one call, in every format, and read again."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

import metaphase
from metaphase.cli.exchange import Target
from metaphase.exchange.convert import ABOVE_THRESHOLD, FORMATS, MANY_SLIDES


def some(image: str = "a.png") -> metaphase.Detections:
    made = metaphase.Provenance(image=image, width_px=2000, height_px=1000, mpp=0.25, threshold=0.5)
    return metaphase.Detections([10, 500], [20, 700], [0.9, 0.3], provenance=made)


def test_the_command_offers_the_same_formats() -> None:
    assert set(get_args(Target)) == set(FORMATS)


@pytest.mark.parametrize("to", FORMATS)
def test_every_format_is_read_again(tmp_path: Path, to: Any) -> None:
    if to == "dicom":
        pytest.importorskip("highdicom")
    if to in MANY_SLIDES:
        target = tmp_path / {"sliderunner": "d.sqlite", "coco": "d.json"}.get(to, "d.csv")
    else:
        target = tmp_path / "out"
    written = metaphase.convert({"a": some(), "b": some("b.png")}, target, to=to)
    assert all(path.exists() for path in written)
    assert len(written) == (1 if to in MANY_SLIDES else 2)
    back = metaphase.read_detections(target, mpp=0.25, image_size=(2000, 1000))
    assert set(back) == {"a", "b"}
    assert len(back["a"]) == (1 if to in ABOVE_THRESHOLD else 2)
    assert np.allclose(back["a"].points[0], [10, 20], atol=0.01)


@pytest.mark.parametrize("to", FORMATS)
def test_images_of_one_name_in_two_folders_stay_two(tmp_path: Path, to: Any) -> None:
    if to == "dicom":
        pytest.importorskip("highdicom")
    by_name = {"p1/01": some("01.png"), "p2_01.png": some("01.png"), "b": some("b.png")}
    target = tmp_path / {"sliderunner": "d.sqlite", "coco": "d.json", "csv": "d.csv"}.get(to, "out")
    metaphase.convert(by_name, target, to=to, above_threshold=False)
    back = metaphase.read_detections(target, mpp=0.25, image_size=(2000, 1000))
    assert sorted(len(one) for one in back.values()) == [2, 2, 2]
    assert "b" in back


def test_one_slides_detections_go_into_one_file(tmp_path: Path) -> None:
    (path,) = metaphase.convert(some(), tmp_path / "x.geojson", to="qupath", above_threshold=False)
    assert path == tmp_path / "x.geojson"
    assert len(metaphase.read_detections(path, mpp=0.25)["x"]) == 2
    with pytest.raises(metaphase.DetectionsError, match="cannot hold 2 slides"):
        metaphase.convert({"a": some(), "b": some("b.png")}, tmp_path / "y.geojson", to="qupath")


def test_a_threshold_decides_what_is_written(tmp_path: Path) -> None:
    metaphase.convert(some(), tmp_path / "x.geojson", to="qupath", threshold=0.2)
    assert len(metaphase.read_detections(tmp_path / "x.geojson", mpp=0.25)["x"]) == 2


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    unknown: Any = "pdf"
    with pytest.raises(metaphase.DetectionsError, match="one of metaphase, csv"):
        metaphase.convert(some(), tmp_path / "x", to=unknown)
