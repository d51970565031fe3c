from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.figures import Label
from metaphase.viewer.agreement import agreement, cohens_kappa, disagreements
from metaphase.viewer.store import Decision, State

LETTERS = st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("ab")), min_size=1)


def test_kappa_of_a_textbook_table():
    # Two readers, 50 cases: 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no; po 0.7, pe 0.5.
    a = ["y"] * 25 + ["n"] * 25
    b = ["y"] * 20 + ["n"] * 5 + ["y"] * 10 + ["n"] * 15
    assert cohens_kappa(a, b) == pytest.approx(0.4)


def test_kappa_where_there_is_nothing_to_agree_on():
    assert cohens_kappa([], []) is None
    assert cohens_kappa("aa", "aa") is None
    assert cohens_kappa("ab", "ba") == pytest.approx(-1)
    with pytest.raises(ValueError, match="1 judgements against 2"):
        cohens_kappa("a", "ab")


@given(LETTERS)
def test_kappa_is_symmetric_and_at_most_one(pairs):
    a, b = zip(*pairs, strict=True)
    kappa = cohens_kappa(a, b)
    assert kappa == cohens_kappa(b, a) or kappa == pytest.approx(cohens_kappa(b, a))
    assert kappa is None or kappa <= 1


def one(figure, x, state=State.CONFIRMED, label=Label.MITOTIC):
    return figure, Decision("s", figure, state, "r", label, float(x), 0.0)


def test_f1_between_readers_matches_one_to_one_within_the_radius():
    # 7.5 um are 30 px: the added figures at 200 and 229 are the same, 400 and 431 are not.
    anna = dict([one("d1", 0), one("a-1", 200, State.ADDED), one("a-2", 400, State.ADDED)])
    ben = dict([one("d1", 0), one("a-3", 229, State.ADDED), one("a-4", 431, State.ADDED)])
    found = agreement([(anna, ben, 0.25)])
    assert (found.first, found.second, found.matched) == (3, 3, 2)
    assert found.f1 == pytest.approx(2 / 3)
    assert (found.both, found.agreed) == (1, 1)


def test_rejected_and_relabelled_are_not_mitotic():
    anna = dict([one("d1", 0), one("d2", 100, State.REJECTED), one("d3", 200)])
    ben = dict(
        [one("d1", 0), one("d2", 100), one("d3", 200, State.RELABELLED, Label.HARD_NEGATIVE)]
    )
    found = agreement([(anna, ben, 0.25)])
    assert (found.first, found.second, found.matched) == (2, 2, 1)
    assert (found.both, found.agreed) == (3, 1)


def test_slides_are_pooled_and_empty_ones_are_fine():
    anna, ben = dict([one("d1", 0)]), dict([one("d1", 0)])
    found = agreement([(anna, ben, 0.25), ({}, {}, 0.5), (anna, {}, 0.25)])
    assert (found.first, found.second, found.matched) == (2, 1, 1)
    assert agreement([]).f1 is None


def test_readers_disagree_about_judgements_and_about_added_figures():
    anna = dict(
        [one("d1", 0), one("d2", 50), one("d3", 90), one("a-1", 200, State.ADDED),
         one("a-2", 400, State.ADDED)]
    )  # fmt: skip
    ben = dict(
        [one("d1", 0, State.REJECTED), one("d2", 50), one("a-3", 229, State.ADDED),
         one("a-4", 600, State.ADDED, Label.HARD_NEGATIVE)]
    )  # fmt: skip
    # d3 was judged by one reader only; a-1 and a-3 are the same figure; a-4 is no mitotic figure.
    assert disagreements(anna, ben, 0.25) == ["a-2", "d1"]
    assert disagreements(ben, anna, 0.25) == ["a-2", "d1"]
    assert disagreements(anna, anna, 0.25) == []
    relabelled = dict([one("d1", 0, State.RELABELLED, Label.HARD_NEGATIVE)])
    assert disagreements(relabelled, dict([one("d1", 0)]), 0.25) == ["d1"]
