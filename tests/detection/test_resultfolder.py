"""A result folder is complete or not, and is recognised only for the work that made it."""

from __future__ import annotations

from pathlib import Path

import pytest

from metaphase.detection.plan import Settings, make_plan
from metaphase.detection.resultfolder import ResultFolder
from metaphase.figures import Detections
from metaphase.provenance import Parameters, Provenance
from tests.detection.scenes import DotSlide, make_model

SLIDE = DotSlide(300, 200, 0.25, [])
MADE = Provenance(
    "dots.tif",
    300,
    200,
    0.25,
    image_sha256="aa",
    model_id="bb",
    threshold=0.5,
    parameters=Parameters(region=(0, 0, 10, 10), second_stage={"stain": [[1.0, 2.0]]}),
)
EXPECTED = {
    "image_sha256": "aa",
    "model_id": "bb",
    "threshold": 0.5,
    "parameters": Parameters(region=(0, 0, 10, 10), second_stage={"stain": ((1.0, 2.0),)}),
}


@pytest.fixture
def folder(tmp_path: Path) -> ResultFolder:
    made = ResultFolder(tmp_path / "r")
    plan = make_plan(SLIDE, make_model(), Settings())
    made.write(SLIDE, plan, Detections([1], [1], [0.9], provenance=MADE), Settings(), [])
    return made


def test_the_same_work_is_recognised(folder: ResultFolder) -> None:
    found = folder.finished(SLIDE, **EXPECTED)
    assert found is not None
    assert len(found) == 1
    assert folder.has_overlay
    assert not folder.checkpoint.exists()


@pytest.mark.parametrize(
    "change",
    [
        {"image_sha256": "other"},
        {"model_id": "other"},
        {"threshold": 0.6},
        {"parameters": Parameters(region=(0, 0, 10, 11))},
        {"parameters": Parameters(tissue=True)},
    ],
)
def test_other_work_is_not(folder: ResultFolder, change: dict[str, object]) -> None:
    assert folder.finished(SLIDE, **{**EXPECTED, **change}) is None


@pytest.mark.parametrize("name", ["detections.json", "detections.csv"])
def test_a_folder_without_its_table_or_provenance_is_not_finished(
    folder: ResultFolder, name: str
) -> None:
    (folder.path / name).unlink()
    assert folder.finished(SLIDE, **EXPECTED) is None


def test_a_folder_that_does_not_exist_is_not_finished(tmp_path: Path) -> None:
    assert ResultFolder(tmp_path / "gone").finished(SLIDE, **EXPECTED) is None
