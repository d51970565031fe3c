"""The picture of an import shows every detection, whatever its score, and the labels."""

from __future__ import annotations

import numpy as np
from PIL import Image

from metaphase.detection.foreign.picture import LABELLED, MOST_MARKS, check_marks, save_picture
from metaphase.figures import Detections, Figure, Label
from metaphase.provenance import Provenance
from tests.detection.scenes import DotSlide

MADE = Provenance(image="a.png", width_px=400, height_px=300, mpp=0.25, threshold=0.9)


def test_marks_of_detections_and_labels(tmp_path):
    found = Detections([50, 200], [60, 100], [0.2, 0.95], [0, 1], provenance=MADE)
    figures = [Figure("1", 55, 60), Figure("2", 300, 200, Label.HARD_NEGATIVE)]
    marks = check_marks(found, figures)
    assert [(m.name, m.shape, m.text) for m in marks] == [
        ("labelled figure", "square", ""),
        ("hard negative", "ring", "0.95"),
        ("mitotic figure", "ring", "0.20"),
    ]
    path = save_picture(DotSlide(400, 300, 0.25, [(50, 60)]), found, figures, tmp_path / "a.png")
    picture = np.asarray(Image.open(path).convert("RGB"))
    assert (np.abs(picture.astype(int) - LABELLED).sum(axis=2) < 60).any()


def test_the_best_detections_are_drawn():
    count = MOST_MARKS + 10
    score = np.linspace(0.1, 0.9, count)
    found = Detections(np.arange(count), np.zeros(count), score, provenance=MADE)
    marks = check_marks(found, ())
    assert len(marks) == MOST_MARKS
    assert marks[0].text == "0.90"
