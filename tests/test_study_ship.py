"""What the card of the bundled model says of left-out slides and scanners."""

from __future__ import annotations

from typing import Any

from studies.left_out import BOTH_SCANNERS
from studies.ship import scores_of, worst_slides


def table(title: str, f1: float, **slides: tuple[int, float]) -> dict[str, Any]:
    return {
        "title": title,
        "f1": f1,
        "tp": 6,
        "fp": 2,
        "fn": 4,
        "thresholds": [0.4],
        "slides": {name: {"labelled": n, "f1": score} for name, (n, score) in slides.items()},
    }


TABLES = [
    table("Leave one slide out", 0.75, A00=(29, 0.8), A02=(40, 0.7), A03=(3, 0.1)),
    table("Leave one scanner out: never seen", 0.65, S17=(34, 0.5)),
    table(BOTH_SCANNERS, 0.6, S17=(34, 0.5), A02=(40, 0.4)),
]


def test_the_validation_is_that_on_scanners_never_seen() -> None:
    scores = scores_of(TABLES)
    assert scores["validation"]["overall"]["f1"] == 0.6
    assert "leave one scanner out" in scores["validation"]["protocol"]
    assert list(scores["left out"]) == [
        "Leave one slide out",
        "Leave one scanner out: never seen",
    ]
    assert scores["left out"]["Leave one slide out"]["tp"] == 6


def test_the_worst_slide_of_each_protocol_is_named() -> None:
    """Of slides with enough figures for a score that means something."""
    text = worst_slides(TABLES)
    assert "Leave one slide out: F1 0.75, the worst slide (A02) 0.70" in text
    assert "(S17) 0.50" in text
    assert "A03" not in text
    assert BOTH_SCANNERS not in text
