from __future__ import annotations

import pytest

from metaphase.viewer.slideremarks import SlideRemarks, threshold_value
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
