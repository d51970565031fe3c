"""Databases of SlideRunner as detections: old schemas, and values that are not what they should."""

from __future__ import annotations

import pytest

from metaphase.errors import DetectionsError
from metaphase.exchange import sliderunner
from metaphase.exchange.importedfile import ImageFacts
from metaphase.labels.read import load_dataset
from tests.labels.files import write_sliderunner

SLIDES = [(1, "a.svs")]


def test_a_database_without_descriptions_is_read(tmp_path):
    path = write_sliderunner(tmp_path / "a.sqlite", SLIDES, [(1, 1, 1, 0, [(10, 20)])])
    (one,) = sliderunner.read(path, ImageFacts(0.25)).values()
    assert (one.points.tolist(), one.score.tolist()) == ([[10, 20]], [1])


def test_only_what_is_deleted_is_left_out(tmp_path):
    marks = [(i, 1, 1, deleted, [(10 * i, 20)]) for i, deleted in enumerate(
        (0, None, "0", "", "false", 1, "1", "true"), 1)]  # fmt: skip
    path = write_sliderunner(tmp_path / "a.sqlite", SLIDES, marks)
    (one,) = sliderunner.read(path, ImageFacts(0.25)).values()
    (case,) = load_dataset(path)
    assert len(one) == len(case.figures) == 5


@pytest.mark.parametrize("place", [("x", 5), (5, None), (b"1", 5)])
def test_positions_that_are_no_numbers_are_a_problem(tmp_path, place):
    path = write_sliderunner(tmp_path / "a.sqlite", SLIDES, [(1, 1, 1, 0, [place])])
    with pytest.raises(DetectionsError, match=r"annotation 1: .* is not a position"):
        sliderunner.read(path, ImageFacts(0.25))


def test_two_slides_of_one_name_are_a_problem(tmp_path):
    path = write_sliderunner(tmp_path / "a.sqlite", [(1, "a.svs"), (2, "a.svs")], [])
    with pytest.raises(DetectionsError, match=r"name .a\.svs. of another slide"):
        sliderunner.read(path, ImageFacts(0.25))


def test_an_outline_of_a_region_is_no_figure(tmp_path):
    outline = [(0, 0), (30000, 0), (30000, 20000)]
    path = write_sliderunner(tmp_path / "a.sqlite", SLIDES, [(1, 1, 1, 0, outline)])
    with pytest.raises(DetectionsError, match=r"annotation 1: is 30000 x 20000 px, .* no single"):
        sliderunner.read(path, ImageFacts(0.25))
