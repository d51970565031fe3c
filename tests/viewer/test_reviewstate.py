"""Which decisions are in force."""

from __future__ import annotations

from metaphase.viewer.reviewstate import ReviewState
from metaphase.viewer.store import Decision, State


def state(*rows):
    book = ReviewState("s")
    book.add(Decision("s", f, s, r, seq=k + 1) for k, (f, s, r) in enumerate(rows))
    return book


def test_undo_goes_back_step_by_step():
    rows = [("f", State.CONFIRMED, "a"), ("f", State.REJECTED, "a"), ("f", State.UNDONE, "a")]
    assert state(*rows).standing("f").state == State.CONFIRMED
    assert state(*rows, ("f", State.UNDONE, "a")).standing("f") is None
    assert state(*rows, *[("f", State.UNDONE, "a")] * 3).standing("f") is None


def test_each_undoes_only_their_own():
    book = state(("f", State.CONFIRMED, "a"), ("f", State.REJECTED, "b"), ("f", State.UNDONE, "a"))
    assert book.standing("f").reviewer == "b"
    assert book.standing("f", "a") is None
    assert book.all("a") == {}


def test_the_latest_word_of_several_readers_holds():
    book = state(("f", State.REJECTED, "b"), ("f", State.CONFIRMED, "a"))
    assert book.standing("f").reviewer == "a"
    assert book.standing("f", "b").state == State.REJECTED


def test_complete_is_about_the_slide():
    book = state(("", State.COMPLETE, "a"))
    assert book.complete()
    assert book.complete("a")
    assert not book.complete("b")
    assert book.all() == {}
    assert not state(("", State.COMPLETE, "a"), ("", State.UNDONE, "a")).complete()


def test_changes_since_a_number_name_each_figure_once():
    book = state(("f", State.CONFIRMED, "a"), ("g", State.CONFIRMED, "a"), ("f", State.UNDONE, "a"))
    assert book.changed(1) == {"f": None, "g": book.standing("g")}
    assert book.changed(3) == {}
    again = [Decision("s", "f", State.REJECTED, "a", seq=2)]
    book.add(again)  # known numbers are passed over
    assert book.standing("f") is None
