"""What counts after review."""

from __future__ import annotations

import numpy as np

from metaphase.figures import Figure
from metaphase.labels.dataset import Case, Dataset
from metaphase.viewer.reviewedfigures import counted
from metaphase.viewer.reviewstate import ReviewState
from metaphase.viewer.slidecatalogue import find_images, open_slides
from metaphase.viewer.store import State

from .conftest import MPP, first_mitotic, found, put


def test_a_persons_word_comes_before_the_machines(slides, store):
    a = slides[0]
    low = [f for f, i in a.columns.index.items() if a.columns.score[i] < 0.2]
    put(store, a, low[0], State.CONFIRMED)
    put(store, a, first_mitotic(a), State.REJECTED)
    put(store, a, "a-1", State.ADDED, place=(7.0, 8.0))
    standing = ReviewState("a").update(store).all().values()
    before, after = counted(a, [], 0.5).points, counted(a, standing, 0.5).points
    assert len(after) == len(before) + 1
    assert [7.0, 8.0] in after.tolist()


def test_labels_beside_detections_are_not_counted_twice(folder, slides):
    known = Dataset([Case("a", figures=(Figure("1", 100.0, 80.0),))])
    both = open_slides(
        find_images([folder]), detections={"a": found("a.png")}, labels=known, mpp=MPP
    )
    assert len(both[0].columns) == len(slides[0].columns) + 1
    np.testing.assert_array_equal(
        counted(both[0], [], 0.3).points, counted(slides[0], [], 0.3).points
    )


def test_readers_say_which_figures_are_atypical(slides, store):
    a = slides[0]
    figure = first_mitotic(a)
    plain = counted(a, [], 0.0)
    assert np.isnan(plain.atypical).all()
    said = counted(a, [], 0.0, atypical={figure: True, "unknown": True})
    assert np.nansum(said.atypical) == 1
    assert int(np.isfinite(said.atypical).sum()) == 1


def test_decisions_about_references_do_not_count(folder, store):
    """A label beside detections may have been reviewed before there were detections."""
    known = Dataset([Case("a", figures=(Figure("1", 1200.0, 100.0),))])
    entry = open_slides(
        find_images([folder]), detections={"a": found("a.png")}, labels=known, mpp=MPP
    )[0]
    for state in (State.CONFIRMED, State.REJECTED):
        put(store, entry, "l120000_10000_0", state)
        standing = ReviewState("a").update(store).all().values()
        after = counted(entry, standing, 0.5).points
        np.testing.assert_array_equal(after, counted(entry, [], 0.5).points)
