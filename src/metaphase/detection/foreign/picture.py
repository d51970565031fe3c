"""The picture of an import: the test image with what the graph detects in it, and its labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from metaphase.detection.overlay import Colour, Mark, save_overlay
from metaphase.figures import Detections, Figure, Label, points_of
from metaphase.qupath.classes import COLOURS
from metaphase.slides.slide import Slide

LABELLED: Colour = (0, 90, 255)
MOST_MARKS = 200
"""Detections that are drawn, those with the highest scores."""


def save_picture(
    image: Slide, detections: Detections, figures: Sequence[Figure], path: Path
) -> Path:
    """Draw a ring around each detection, whatever its score, and a square at each labelled figure.

    An imported model has no threshold of its own yet, so the scores are written beside the rings.
    """
    save_overlay(image, check_marks(detections, figures), path)
    return path


def check_marks(detections: Detections, figures: Sequence[Figure]) -> list[Mark]:
    """Return the marks of the picture."""
    rows = zip(detections.x_px, detections.y_px, detections.score, detections.labels, strict=True)
    rings = [Mark(x, y, str(label), COLOURS[label], f"{s:.2f}") for x, y, s, label in rows]
    squares = [
        Mark(x, y, "labelled figure", LABELLED, shape="square")
        for x, y in points_of(figures, Label.MITOTIC).tolist()
    ]
    return [*squares, *rings[:MOST_MARKS]]
