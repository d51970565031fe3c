"""Overlays show found, false and missed figures where an image has labels."""

from __future__ import annotations

from pathlib import Path

from metaphase.detection.inputs import Job
from metaphase.evaluation.overlaymarks import label_marks
from metaphase.figures import Detections, Figure
from metaphase.labels.dataset import Case, Dataset
from metaphase.provenance import Provenance

FIGURES = (Figure("1", 100, 100), Figure("2", 300, 300))
DETECTIONS = Detections(
    [101, 200, 250],
    [100, 200, 250],
    [0.9, 0.8, 0.2],
    provenance=Provenance("a.png", 400, 400, 0.25, threshold=0.5),
)


def kinds(dataset: Dataset, job: Job) -> list[str]:
    return sorted(mark.name for mark in label_marks(dataset)(job, DETECTIONS))


def test_a_labelled_case_is_compared() -> None:
    case = Case("a", figures=FIGURES)
    expected = ["false", "found", "missed"]
    assert kinds(Dataset([case]), Job(Path("a.png"), "a")) == expected
    assert kinds(Dataset(()), Job(Path("x.png"), "x", case=case)) == expected


def test_an_image_without_labels_shows_its_detections() -> None:
    unlabelled = Case("a", labelled=False)
    for dataset in (Dataset([unlabelled]), Dataset([Case("b", figures=FIGURES)])):
        assert kinds(dataset, Job(Path("a.png"), "a")) == ["mitotic figure"] * 2
