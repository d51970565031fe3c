"""What a domain shift meant for the detections of left-out slides."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from studies.failure_prediction import Row, pooled

from metaphase.provenance import LeftOutScores


def row(slide: str, figures: int, tp: int, fp: int, shift: float) -> Row:
    return Row("p", slide, figures, tp, fp, 0.0, 0.0, 0.0, 0.0, {"domain shift": shift})


def test_slides_are_pooled_by_their_counts() -> None:
    rows = [row("a", 10, 8, 8, 1.4), row("b", 30, 20, 4, 1.1), row("c", 4, 1, 0, 0.9)]
    shifted = pooled(rows, shifted=True)
    assert shifted == {"slides": 2, "figures": 40, "precision": 0.7, "recall": 0.7}
    assert pooled(rows, shifted=False) == {
        "slides": 1, "figures": 4, "precision": 1.0, "recall": 0.25,
    }  # fmt: skip
    assert LeftOutScores.model_validate(shifted).slides == 2


def test_without_a_slide_or_a_detection_there_is_nothing_to_say() -> None:
    assert pooled([row("c", 4, 0, 0, 0.9)], shifted=False) is None
    assert pooled([row("c", 4, 1, 0, 0.9)], shifted=True) is None
