"""The table of operating points: windows, recall and what is kept, by the lowest proposal score."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from studies.operating_point import Field, first_scores, row

from metaphase.figures import Detections, Figure
from metaphase.labels.dataset import Case, Dataset
from metaphase.provenance import Provenance

MADE = Provenance(image="a.png", width_px=1000, height_px=1000, mpp=0.25, threshold=0.5)


def detections(rows):
    x, score = np.array(rows, float).reshape(-1, 2).T
    return Detections(x, np.full(len(x), 500.0), score, provenance=MADE)


def test_a_higher_lowest_score_costs_windows_and_figures():
    merged = detections([(100, 0.9), (300, 0.3), (500, 0.2), (700, 0.1)])
    final = detections([(100, 0.8), (300, 0.1), (500, 0.7), (700, 0.6)])
    first = first_scores(merged, final)
    assert dict(zip(final.x_px.tolist(), first.tolist(), strict=True)) == {
        100: 0.9, 300: 0.3, 500: 0.2, 700: 0.1,
    }  # fmt: skip
    figures = tuple(Figure(str(x), float(x), 500.0) for x in (100, 500, 900))
    case = Case(id="a", width_px=1000, height_px=1000, mpp=0.25, figures=figures)
    fields = {"a": Field(final, first, 0.0625)}
    low, high = (row(fields, Dataset([case]), score) for score in (0.1, 0.25))
    assert low["windows_per_mm2"] == pytest.approx(64)
    assert (low["recall"], high["recall"]) == (pytest.approx(2 / 3), pytest.approx(1 / 3))
    assert (low["found"], high["found"]) == (2, 1)
    assert low["f1"] == pytest.approx(4 / 6)
    assert high["f1"] == pytest.approx(2 / 4)
