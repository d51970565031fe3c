"""What every reader of detections shares: rows, their errors, and what is known of an image."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from metaphase.errors import DetectionsError
from metaphase.exchange.importedfile import ImageFacts, ImportedFile
from metaphase.figures import Label

FACTS = ImageFacts(mpp=0.25, image_size=(1000, 800))


def opened(facts: ImageFacts = FACTS) -> ImportedFile:
    return ImportedFile(Path("found.json"), "kind", facts)


def problems_of(file: ImportedFile) -> list[tuple[str, str]]:
    with pytest.raises(DetectionsError) as error:
        file.detections()
    assert {problem.file for problem in error.value.problems} == {"found.json"}
    return [(problem.record, problem.message) for problem in error.value.problems]


def test_rows_become_detections_best_first_with_what_is_known_of_the_image() -> None:
    file = opened()
    image = file.image("a.png")
    file.add(image, "1", 10, 20, 0.4, Label.HARD_NEGATIVE, atypical=0.9)
    file.add(image, "2", 30.5, 40, None, Label.MITOTIC, atypical=0.3)
    assert file.image("a.png") is image
    (found,) = file.detections().values()
    assert found.points.tolist() == [[30.5, 40], [10, 20]]
    assert found.score.tolist() == [1.0, 0.4]
    assert found.atypical is not None
    assert found.atypical[0] == 0.3
    assert math.isnan(found.atypical[1])  # a hard negative is not atypical
    made = found.provenance
    assert (made.width_px, made.height_px, made.mpp, made.mpp_source) == (1000, 800, 0.25, "user")
    assert (made.parameters.read_from, made.parameters.format) == ("found.json", "kind")


def test_an_image_without_rows_has_no_detections() -> None:
    file = opened()
    file.image("empty.png")
    assert [len(one) for one in file.detections().values()] == [0]


def test_every_row_that_is_wrong_is_named() -> None:
    file = opened()
    image = file.image("a.png")
    file.add(image, "position", "here", 1, 0.5, Label.MITOTIC)
    file.add(image, "nan", math.nan, 1, 0.5, Label.MITOTIC)
    file.add(image, "score", 1, 1, 1.5, Label.MITOTIC)
    file.add(image, "label", 1, 1, 0.5, None)
    file.add(image, "atypical", 1, 1, 0.5, Label.MITOTIC, atypical=-0.1)
    file.add(image, "right", 1, 1, 0.5, Label.MITOTIC)
    assert [record for record, _ in problems_of(file)] == [
        "position", "nan", "score", "label", "atypical",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "in_file", "expected"),
    [
        (ImageFacts(mpp=0.25), None, (0.25, "user")),
        (ImageFacts(mpp=0.25), 0.5, (0.5, "file")),
        (ImageFacts(mpp={"a": 0.3}), None, (0.3, "user")),
        (ImageFacts(mpp={"a.png": 0.4, "a": 0.3}), None, (0.4, "user")),
        (ImageFacts(mpp=0.25), 0.0, (0.25, "user")),
    ],
)
def test_the_resolution_is_the_files_else_the_callers(
    facts: ImageFacts, in_file: float | None, expected: tuple[float, str]
) -> None:
    assert facts.mpp_of("a.png", in_file) == expected


@pytest.mark.parametrize("mpp", [None, 0.0, math.nan, {"b": 0.25}])
def test_without_a_resolution_the_way_out_is_named(mpp: float | dict[str, float] | None) -> None:
    file = opened(ImageFacts(mpp=mpp))
    file.image("a.png")
    with pytest.raises(DetectionsError, match="--mpp"):
        file.detections()


@pytest.mark.parametrize("mpp", [1e-5, 1e5])
def test_a_resolution_in_another_unit_is_refused(mpp: float) -> None:
    with pytest.raises(DetectionsError, match="is no resolution"):
        ImageFacts().mpp_of("a.png", mpp)


def test_a_figure_may_lie_outside_of_its_image_by_its_own_size_alone() -> None:
    file = opened()
    image = file.image("a.png")
    file.add(image, "1", -50, 400, 0.5, Label.MITOTIC)
    assert len(file.detections()["a"]) == 1
    file.add(image, "2", 5000, 400, 0.5, Label.MITOTIC)
    ((record, message),) = problems_of(file)
    assert record == "a.png"
    assert "1 of 2 detections lie outside" in message
    assert "5000" in message


def test_a_region_is_no_figure() -> None:
    file = opened()
    image = file.image("a.png")
    assert not file.is_region(image, "cell", 50, 50)
    assert file.is_region(image, "region", 4000, 50)
    assert [record for record, _ in problems_of(file)] == ["region"]


def test_images_that_differ_in_their_ending_alone_are_two_of_one_name() -> None:
    file = opened()
    for name in ("a.png", "a.tif"):
        file.add(file.image(name), "1", 10, 10, 0.5, Label.MITOTIC)
    assert problems_of(file) == [("a.tif", "is a second image of this name")]
