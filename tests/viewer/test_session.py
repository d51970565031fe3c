from __future__ import annotations

import pytest
from fastapi import HTTPException

from metaphase.viewer.comparison import references
from metaphase.viewer.seconddetections import add_second_detections
from metaphase.viewer.session import Session
from metaphase.viewer.store import State
from metaphase.viewer.tiles import TileRenderer

from .conftest import first_mitotic, put, save_second


@pytest.fixture
def session_of(slides, store):
    renderer = TileRenderer(1)
    yield lambda reviewer, blind=False: Session(slides, store, reviewer, blind, renderer)
    renderer.close()


def test_slides_are_found_by_their_address_name(session_of, slides):
    session = session_of("anna")
    assert session.slide(slides[1].slug) is slides[1]
    with pytest.raises(HTTPException, match="no such slide"):
        session.slide("a.png")


def test_what_another_process_wrote_is_seen(session_of, slides, store):
    session = session_of("anna")
    assert session.standing(slides[0]) == {}
    figure = first_mitotic(slides[0])
    put(store, slides[0], figure, State.REJECTED, reviewer="ben")
    assert session.standing(slides[0])[figure].reviewer == "ben"
    seq, changed, complete = session.changed(slides[0], 0)
    assert (list(changed), complete) == ([figure], False)
    assert session.changed(slides[0], seq)[1] == {}


def test_a_blind_reader_is_shown_their_own_decisions(session_of, slides, store):
    figure = first_mitotic(slides[0])
    put(store, slides[0], figure, State.REJECTED, reviewer="ben")
    blind = session_of("anna", blind=True)
    assert blind.seen_reviewer == "anna"
    assert blind.standing(slides[0]) == {}
    assert session_of("anna").seen_reviewer is None


def test_the_comparison_of_two_models_is_made_once(session_of, slides, store, tmp_path):
    save_second(tmp_path / "second")
    compared = add_second_detections(slides, tmp_path / "second")
    session = session_of("anna")
    session.replace_slides(compared)
    (reference,) = references(compared[0])
    first = session.compared(compared[0], reference, 0.5)
    assert session.compared(compared[0], reference, 0.9) is first
    session.replace_slides(compared)
    assert session.compared(compared[0], reference, 0.5) is not first
