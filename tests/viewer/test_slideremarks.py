from __future__ import annotations

import pytest

from metaphase.viewer.slideremarks import SlideRemarks, is_grid, threshold_value
from metaphase.viewer.store import Remark, RemarkKind


def remark(kind, value, figure="", reviewer="anna", slide="s"):
    return Remark(slide, figure, RemarkKind(kind), value, reviewer)


def test_the_last_remark_of_each_reader_is_in_force(store):
    for one in (
        remark("comment", "first", "d1"),
        remark("comment", "second", "d1"),
        remark("comment", "another", "d1", "ben"),
        remark("comment", "removed", "d2"),
        remark("comment", "", "d2"),
        remark("comment", "elsewhere", "d1", slide="t"),
        remark("threshold", "0.25"),
        remark("threshold", "0.75", reviewer="ben"),
        remark("assigned", "carla"),
        remark("assigned", "ben", reviewer="ben"),
    ):
        store.add_remark(one)
    remarks = SlideRemarks("s").update(store)
    assert [r.value for r in remarks.comments()] == ["second", "another"]
    assert [r.value for r in remarks.comments("ben")] == ["another"]
    assert (remarks.threshold("anna"), remarks.threshold("ben")) == (0.25, 0.75)
    assert remarks.threshold("carla") is None
    assert remarks.assigned() == "ben"
    assert SlideRemarks("u").update(store).assigned() == ""


def test_updates_continue_where_the_last_one_ended(store):
    remarks = SlideRemarks("s")
    store.add_remark(remark("threshold", "0.5"))
    assert remarks.update(store).threshold("anna") == 0.5
    store.add_remark(remark("threshold", "0.6"))
    assert remarks.update(store).threshold("anna") == 0.6
    assert remarks.seq == 2


@pytest.mark.parametrize("text", ["", "x", "nan", "inf", "-0.1", "1.1", "1e400"])
def test_a_threshold_is_a_number_from_0_to_1(text):
    assert threshold_value(text) is None
    assert threshold_value("0.5") == 0.5


def test_viewed_areas_are_kept_for_each_reader(store):
    store.add_remark(remark("viewed", "2x2:wA=="))
    store.add_remark(remark("viewed", "2x2:8A=="))
    store.add_remark(remark("viewed", "2x2:AA==", reviewer="ben"))
    remarks = SlideRemarks("s").update(store)
    assert remarks.viewed("anna") == "2x2:8A=="
    assert remarks.viewed("ben") == "2x2:AA=="
    assert remarks.viewed("carla") == ""


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("2x2:8A==", True),
        ("9x1://8=", True),
        ("3x3:8A==", False),  # nine bits need two bytes
        ("0x2:8A==", False),
        ("100x100:8A==", False),
        ("2x2:8A", False),
        ("2x2:?A==", False),
        ("", False),
    ],
)
def test_a_grid_has_a_bit_for_each_cell(text, right):
    assert is_grid(text) is right


def test_whether_a_figure_is_atypical_is_the_last_word_of_a_reader(store):
    for value, reader in (("yes", "anna"), ("no", "ben"), ("yes", "ben"), ("no", "anna")):
        store.add_remark(Remark("a", "d1_1_0", RemarkKind.ATYPICAL, value, reader))
    remarks = SlideRemarks("a").update(store)
    assert remarks.atypical() == {"d1_1_0": False}
    assert remarks.atypical("ben") == {"d1_1_0": True}
    store.add_remark(Remark("a", "d1_1_0", RemarkKind.ATYPICAL, "", "anna"))
    assert remarks.update(store).atypical("anna") == {}
    assert remarks.comments() == []
