from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from metaphase.figures import Figure, Label
from metaphase.labels.dataset import Case, Dataset
from metaphase.slides.labelcheck import check_images


def tiff(path: Path, mpp: float | None) -> Path:
    pixels = np.full((48, 64, 3), 200, np.uint8)
    tags = {} if mpp is None else {"resolution": (1e4 / mpp,) * 2, "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(path, pixels, photometric="rgb", **tags)
    return path


def messages(*cases: Case) -> list[str]:
    return [str(problem) for problem in check_images(Dataset(cases))]


def test_good_absent_and_untagged_images(tmp_path: Path) -> None:
    image = tiff(tmp_path / "a.tif", 0.25)
    size = {"width_px": 64, "height_px": 48}
    cases = [
        Case("a", image, mpp=0.252, **size),
        Case("b", image),
        Case("c", tmp_path / "none.tif", mpp=0.5),
        Case("d", tiff(tmp_path / "d.tif", None), mpp=0.5, scanner="Aperio CS2"),
        Case("e"),
    ]
    assert messages(*cases) == []


def test_another_resolution_than_in_the_labels(tmp_path: Path) -> None:
    (message,) = messages(Case("a", tiff(tmp_path / "a.tif", 0.499), mpp=0.2456))
    assert "its tags say 0.499 um/px, the labels 0.2456 um/px" in message


def test_another_size_and_files_that_are_no_image(tmp_path: Path) -> None:
    (tmp_path / "b.tif").write_bytes(b"pixels")
    seen: list[str] = []
    cases = [
        Case("a", tiff(tmp_path / "a.tif", 0.25), width_px=640, height_px=480),
        Case("b", tmp_path / "b.tif"),
    ]
    problems = [str(problem) for problem in check_images(Dataset(cases), seen.append)]
    assert "64 x 48 px" in problems[0]
    assert "b.tif" in problems[1]
    assert seen == ["a", "b"]


def test_the_size_is_compared_where_no_tags_give_a_resolution(tmp_path: Path) -> None:
    image = tiff(tmp_path / "a.tif", None)
    (message,) = messages(Case("a", image, mpp=0.25, width_px=640, height_px=480))
    assert "64 x 48 px" in message


@pytest.mark.parametrize("mpp", [None, 0.25])
def test_figures_outside_of_the_image(tmp_path: Path, mpp: float | None) -> None:
    """Labels that do not state the size of their image."""
    places = {"in": (64, 48), "right": (64.5, 10), "below": (3, 900), "left": (-1, 5)}
    figures = tuple(Figure(name, x, y, Label.MITOTIC) for name, (x, y) in places.items())
    (message,) = messages(Case("a", tiff(tmp_path / "a.tif", mpp), figures=figures))
    assert "outside of its 64 x 48 px: right, below, left" in message
