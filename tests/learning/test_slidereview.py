"""What decisions say about candidates: nothing is a negative without a decision."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from metaphase.figures import Figure, Label
from metaphase.labels.dataset import Case
from metaphase.learning.slidereview import SlideReview, Targets, find_review, targets_of
from tests.learning.conftest import candidates_at

MPP = 0.25  # the matching radius is 30 px
PLACES = [(100.0, 100.0), (200.0, 200.0), (300.0, 300.0)]


def review(rows, complete=False, image="a.png"):
    table = np.array(rows, float).reshape(-1, 3)
    return SlideReview(Path(image), table[:, :2], table[:, 2], complete)


def target(rows, complete=False, places=PLACES):
    return targets_of(candidates_at(places), review(rows, complete), MPP)


def test_without_a_decision_a_candidate_is_unlabelled():
    found = target([(100, 100, 1), (200, 200, 0)])
    assert found.target.tolist()[:2] == [1, 0]
    assert np.isnan(found.target[2])
    assert np.isnan(Targets.unknown(candidates_at(PLACES)).target).all()


def test_a_complete_image_makes_the_rest_negative():
    assert target([(100, 100, 1)], complete=True).target.tolist() == [1, 0, 0]


def test_an_added_figure_belongs_to_the_candidate_near_it_or_was_missed():
    near = target([(215, 200, 1)])
    assert near.target[1] == 1
    assert len(near.missed) == 0
    far = target([(250, 250, 1)])
    assert np.isnan(far.target).all()
    assert far.missed.tolist() == [[250, 250]]


def test_a_decision_on_a_candidate_is_about_no_other_one():
    close = [(100.0, 100.0), (110.0, 100.0)]
    found = target([(100, 100, 0), (110, 100, 1)], places=close)
    assert found.target.tolist() == [0, 1]
    found = target([(110, 100, 0)], places=close)
    assert np.isnan(found.target[0])
    assert found.target[1] == 0


def test_a_figure_counts_once():
    two = target([(205, 200, 1)], places=[(200.0, 200.0), (212.0, 200.0)])
    assert sorted(np.nan_to_num(two.target, nan=-1)) == [-1, 1]


def test_labels_are_a_complete_review():
    figures = (
        Figure("1", 10, 20, Label.MITOTIC, (0, 0, 1, 1)),
        Figure("2", 30, 40, Label.HARD_NEGATIVE, (0, 0, 1, 1)),
    )
    found = SlideReview.of_case(Case("a", image=Path("a.png"), figures=figures))
    assert found.complete
    assert found.points.tolist() == [[10, 20], [30, 40]]
    assert found.target.tolist() == [1, 0]
    assert not SlideReview.of_case(Case("b", image=Path("b.png"), labelled=False)).complete


def test_reviews_are_found_by_file_then_by_an_unambiguous_name(tmp_path):
    one, other = review([], image=str(tmp_path / "a.png")), review([], image="/elsewhere/a.png")
    assert find_review([other, one], tmp_path / "a.png") is one
    assert find_review([other], tmp_path / "a.png") is other
    assert find_review([other, review([], image="/third/a.png")], tmp_path / "a.png") is None
    assert find_review([], tmp_path / "a.png") is None


@pytest.mark.parametrize("rows", [[], [(1, 2, 1)]])
def test_images_without_candidates(rows):
    found = target(rows, complete=True, places=[])
    assert len(found.target) == 0
    assert len(found.missed) == len(rows)
