"""The decisions on the page as what training learns from."""

from __future__ import annotations

from metaphase.figures import Label
from metaphase.viewer.reviewedslides import slide_reviews
from metaphase.viewer.store import WHOLE_SLIDE, Decision, State

from .conftest import confirm_all, first_mitotic, put


def rows(review):
    return sorted((x, y, t) for (x, y), t in zip(review.points, review.target, strict=True))


def test_slides_without_decisions_have_no_review(slides, store):
    assert slide_reviews(slides, store) == []


def test_confirmed_added_and_rejected_figures(slides, store):
    entry = slides[0]
    first, second = [f for f, i in entry.columns.index.items() if entry.columns.label[i] == 0][:2]
    put(store, entry, first, State.CONFIRMED)
    put(store, entry, second, State.REJECTED)
    put(store, entry, "a-1", State.ADDED, place=(500.0, 600.0))
    (review,) = slide_reviews(slides, store)
    assert review.image == entry.path
    assert not review.complete
    points = entry.columns.points
    expected = [
        (*points[entry.columns.index[first]], 1.0),
        (*points[entry.columns.index[second]], 0.0),
        (500.0, 600.0, 1.0),
    ]
    assert rows(review) == sorted(expected)


def test_a_relabelled_figure_is_a_negative_and_an_undone_decision_is_none(slides, store):
    entry = slides[0]
    figure = first_mitotic(entry)
    put(store, entry, figure, State.RELABELLED, label=Label.HARD_NEGATIVE)
    assert slide_reviews(slides, store)[0].target.tolist() == [0.0]
    store.add(Decision(entry.key, figure, State.UNDONE, "anna"))
    assert slide_reviews(slides, store) == []


def test_the_latest_decision_counts_or_that_of_a_reader(slides, store):
    entry = slides[0]
    figure = first_mitotic(entry)
    put(store, entry, figure, State.CONFIRMED, reviewer="anna")
    put(store, entry, figure, State.REJECTED, reviewer="ben")
    assert slide_reviews(slides, store)[0].target.tolist() == [0.0]
    assert slide_reviews(slides, store, "anna")[0].target.tolist() == [1.0]


def test_a_slide_is_complete_only_without_undecided_figures(slides, store):
    entry = slides[0]
    store.add(Decision(entry.key, WHOLE_SLIDE, State.COMPLETE, "anna"))
    assert not any(review.complete for review in slide_reviews(slides, store))
    confirm_all(store, entry)
    (review,) = slide_reviews(slides, store)
    assert review.complete
