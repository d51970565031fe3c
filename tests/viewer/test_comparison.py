from __future__ import annotations

import pytest

from metaphase.figures import Figure, Label
from metaphase.labels.dataset import Case, Dataset
from metaphase.viewer.comparison import compare_with_labels
from metaphase.viewer.reviewstate import ReviewState
from metaphase.viewer.slidecatalogue import find_images, open_slides
from metaphase.viewer.store import State

from .conftest import MPP, found, put


@pytest.fixture
def entry(folder):
    figures = (
        Figure("near", 605.0, 390.0),  # 5 px from the detection of score 0.525
        Figure("far", 1200.0, 100.0),
        Figure("not", 100.0, 80.0, Label.HARD_NEGATIVE),
    )
    known = Dataset([Case("a", folder / "a.png", figures=figures)])
    return open_slides(
        find_images([folder]), detections={"a": found("a.png")}, labels=known, mpp=MPP
    )[0]


def test_found_missed_and_false(entry):
    result = compare_with_labels(entry, {}, 0.5, MPP)
    counts = len(found("a.png").above_threshold().points)
    mitotic = int((found("a.png").above_threshold().label == 0).sum())
    assert counts > mitotic
    assert (result.found, len(result.missed), len(result.false)) == (1, 1, mitotic - 1)
    assert entry.columns.points[result.missed[0]].tolist() == [1200.0, 100.0]
    assert result.f1 == pytest.approx(2 / (2 + 1 + mitotic - 1))
    assert result.to_json()["found"] == 1


def test_decisions_count(entry, store):
    for figure, row in entry.columns.index.items():
        if entry.columns.source[row] == 0:
            put(store, entry, figure, State.REJECTED)
    put(store, entry, "a-1", State.ADDED, place=(1201.0, 101.0))
    standing = ReviewState("a").update(store).all()
    result = compare_with_labels(entry, standing, 0.5, MPP)
    assert (result.found, len(result.missed), result.false) == (1, 1, ())


def test_nothing_to_compare(slides):
    result = compare_with_labels(slides[1], {}, 1.0, MPP)
    assert (result.found, result.missed, result.false, result.f1) == (0, (), (), None)
