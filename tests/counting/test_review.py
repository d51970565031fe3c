from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaphase.counting.review import DecisionState, ReviewDecision, apply_review, load_review
from metaphase.errors import DetectionsError

POINTS = np.array([[10.0, 10.0], [50.0, 50.0], [90.0, 90.0]])


def test_decisions_replace_detections():
    left = apply_review(
        POINTS,
        [
            ReviewDecision(10, 10, DecisionState.CONFIRMED),
            ReviewDecision(50.01, 50, DecisionState.REJECTED),
            ReviewDecision(30, 30, DecisionState.ADDED),
        ],
        0.25,
    )
    assert left.points.tolist() == [[10, 10], [90, 90], [30, 30]]
    assert left.certain.tolist() == [True, False, True]
    assert left.added.tolist() == [False, False, True]


def test_a_confirmed_figure_below_the_threshold_counts():
    left = apply_review(POINTS, [ReviewDecision(500, 500, DecisionState.CONFIRMED)], 0.25)
    assert len(left.points) == 4
    assert left.certain.tolist() == [False, False, False, True]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(list(DecisionState)), max_size=12))
def test_counts_add_up(states):
    points = np.array([[100.0 * i, 0.0] for i in range(12)])
    decisions = [
        ReviewDecision(100.0 * i, 0, s) for i, s in enumerate(states) if s != DecisionState.ADDED
    ]
    decisions += [
        ReviewDecision(5000 + i, 0, s) for i, s in enumerate(states) if s == DecisionState.ADDED
    ]
    left = apply_review(points, decisions, 0.25)
    assert len(left.points) == 12 - states.count(DecisionState.REJECTED) + states.count(
        DecisionState.ADDED
    )
    assert left.certain.sum() == len(states) - states.count(DecisionState.REJECTED)


def test_reading_names_every_bad_line(tmp_path):
    path = tmp_path / "review.csv"
    path.write_text("image,x_px,y_px,state\na.svs,1,2,confirmed\nb,x,2,added\nc,1,2,maybe\n")
    with pytest.raises(DetectionsError) as caught:
        load_review(path)
    assert [p.record for p in caught.value.problems] == ["line 3", "line 4"]
    path.write_text("image,x_px,y_px,state\na.svs,1,2,confirmed\n")
    (decision,) = load_review(path)
    assert decision.concerns("a.svs")
    assert decision.concerns("a")
    assert not decision.concerns("b")

    path.write_text("x,y\n1,2\n")
    with pytest.raises(DetectionsError, match="x_px"):
        load_review(path)
    with pytest.raises(DetectionsError, match="cannot be read"):
        load_review(tmp_path / "none.csv")


def test_names_are_those_of_cases_and_a_folder_decides_where_it_is_named():
    dotted = ReviewDecision(1, 2, DecisionState.ADDED, "biopsy.1")
    assert dotted.concerns("biopsy.1")
    assert not dotted.concerns("biopsy.2")
    one = ReviewDecision(1, 2, DecisionState.ADDED, "patient1/01.png")
    assert one.names_folder
    assert one.concerns("01.png")
    assert one.concerns("01.png", "patient1_01.png")
    assert not one.concerns("01.png", "patient2_01.png")
