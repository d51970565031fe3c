"""Overlays: rings lie around what was found, at every scale."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from metaphase.detection.overlay import (
    FALSE,
    FOUND,
    MISSED,
    draw_overlay,
    marks_against,
    marks_of,
    save_overlay,
)
from metaphase.figures import Detections, Label
from metaphase.provenance import Provenance
from metaphase.qupath.classes import COLOURS
from tests.detection.scenes import DotSlide

MADE = Provenance("a.tif", 0, 0, 0.25, threshold=0.5)


def centre_of(picture, colour):
    """Return the middle of the pixels of a colour, above the legend."""
    pixels = np.asarray(picture)[:-34].astype(int)
    ys, xs = np.nonzero((np.abs(pixels - colour) < 12).all(axis=2))
    assert len(xs), f"nothing of {colour}"
    # The number beside the ring has its colour too: the ring is what is left of it.
    left, top, bottom = xs.min(), ys.min(), ys.max()
    return left + (bottom - top + 1) / 2, (top + bottom + 1) / 2


@pytest.mark.parametrize(("width", "height"), [(600, 400), (4000, 3000), (9000, 300)])
def test_a_ring_lies_around_its_figure(width, height):
    x, y = width * 0.4, height * 0.55
    slide = DotSlide(width, height, 0.25, [(x, y)])
    found = Detections([x], [y], [0.9], provenance=MADE)
    picture = draw_overlay(slide, marks_of(found))
    assert max(picture.size) <= 2034
    step = max(1, max(width, height) / 2000)
    at = centre_of(picture, COLOURS[Label.MITOTIC])
    assert at == pytest.approx((x / step, y / step), abs=2.5)


def test_what_is_below_the_threshold_is_not_drawn():
    slide = DotSlide(500, 200, 0.25, [])
    found = Detections([100, 200], [100, 100], [0.4, 0.5], [0, 1], provenance=MADE)
    assert [mark.name for mark in marks_of(found)] == ["hard negative"]
    picture = draw_overlay(slide, marks_of(found))
    assert centre_of(picture, COLOURS[Label.HARD_NEGATIVE]) == pytest.approx((200, 100), abs=2.5)
    with pytest.raises(AssertionError, match="nothing of"):
        centre_of(picture, COLOURS[Label.MITOTIC])


def test_agreement_with_the_truth_has_its_own_colours_and_shape():
    slide = DotSlide(600, 200, 0.25, [])
    found = Detections([100, 300], [100, 100], [0.9, 0.8], provenance=MADE)
    marks = marks_against(found, np.array([True, False]), [[500, 100]])
    assert [mark.shape for mark in marks] == ["ring", "ring", "square"]
    picture = draw_overlay(slide, marks)
    assert centre_of(picture, FOUND) == pytest.approx((100, 100), abs=2.5)
    assert centre_of(picture, FALSE) == pytest.approx((300, 100), abs=2.5)
    assert centre_of(picture, MISSED) == pytest.approx((500, 100), abs=2.5)


def test_marks_at_the_border_and_in_thousands_are_drawn(tmp_path):
    slide = DotSlide(600, 400, 0.25, [])
    corners = Detections([0, 600, 0, 600], [0, 0, 400, 400], [1] * 4, provenance=MADE)
    save_overlay(slide, marks_of(corners), tmp_path / "a.png")
    random = np.random.default_rng(0)
    x, y, score = random.uniform(0, 600, 5000), random.uniform(0, 400, 5000), np.ones(5000)
    save_overlay(slide, marks_of(Detections(x, y, score, provenance=MADE)), tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as picture:
        assert picture.size == (600, 434)


def test_an_empty_picture_and_a_tiny_one(tmp_path):
    for size in (600, 3):
        slide = DotSlide(size, size, 0.25, [])
        picture = draw_overlay(slide, marks_of(Detections.empty(MADE)))
        assert picture.size == (max(size, 480), size + 34)
